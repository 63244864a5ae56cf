#!/bin/sh
# Makes what the manifests here keep in Secrets, in secrets/ beside them or in the folder that is given: an authority, a certificate
# of it for workers and fleet, a pair of keys for tokens, and the workers' token. Needs openssl and dpp.
set -eu
to=${1:-$(dirname "$0")/secrets}
umask 077
mkdir -p "$to"
cd "$to"
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out "$1"; }

key ca.key
openssl req -x509 -new -key ca.key -subj "/CN=dpp authority" -days 3650 -out ca.crt
key tls.key
printf 'subjectAltName=DNS:dpp,DNS:dpp-fleet,DNS:dpp-fleet.dpp\nbasicConstraints=CA:FALSE\n' >extensions
openssl req -new -key tls.key -subj "/CN=dpp" -out request
openssl x509 -req -in request -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 -extfile extensions -out tls.crt
rm extensions request

dpp fleet key token-key
dpp fleet token --key token-key --name workers --role worker --lasts 365d >token

//! The protocols, against a server that plays answers and records what it was asked.
//!
//! The answers are written by hand after Vault's and AWS's documentation. So these tests prove what we send and what we
//! make of such answers. They do not prove that a real Vault or KMS answers so, that AWS accepts the signature (Python's
//! tests recompute it, from the specification), that a policy grants what we ask for, or that TLS is set up rightly.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use dpp_proto::fault::message_with_causes;
use dpp_proto::{Fault, Faulty};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::{KeyError, KeyProvider, SecretKey};

/// Status and body; `None` closes the connection without one.
type Answer = Option<(u16, &'static str)>;

/// Plays one answer a request, in order.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn playing(answers: Vec<Answer>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let record = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut answers = VecDeque::from(answers);
            while let Some(answer) = answers.pop_front() {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = request(&mut stream).await;
                record.lock().unwrap().push(request);
                if let Some((status, body)) = answer {
                    let head = format!(
                        "HTTP/1.1 {status} X\r\nlocation: http://127.0.0.1:1/\r\nconnection: close\r\n"
                    );
                    let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
        Server { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Head and body, as they came.
async fn request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        let mut more = [0; 4096];
        match stream.read(&mut more).await.unwrap() {
            0 => return text,
            read => request.extend_from_slice(&more[..read]),
        }
    }
}

async fn unwrap(keys: &dyn KeyProvider) -> Result<SecretKey, KeyError> {
    keys.unwrap_key("ads/price", "wrapped").await
}

/// What each answer comes to, and after how many questions.
async fn check_faults(
    open: impl Fn(&str) -> Box<dyn KeyProvider>,
    cases: Vec<(Answer, Fault, usize, &str)>,
) {
    for (answer, fault, questions, says) in cases {
        let server = Server::playing(vec![answer; questions]).await;
        let error = unwrap(&*open(&server.url)).await.unwrap_err();
        let text = message_with_causes(&error);
        assert_eq!(error.fault(), fault, "{answer:?}: {text}");
        assert_eq!(server.asked().len(), questions, "{answer:?}");
        assert!(
            text.contains("ads/price") && text.contains(says),
            "{answer:?}: {text}"
        );
        assert!(!text.contains("hunter2"), "{text}");
    }
}

/// Base64 of `0123456789012345`.
const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NQ==";

#[cfg(feature = "vault")]
mod vault {
    use super::super::vault::{Vault, VaultPlace};
    use super::*;

    fn open(url: &str) -> Box<dyn KeyProvider> {
        let token = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(token.path(), "hunter2\n").unwrap();
        let mut place = VaultPlace {
            url: format!("{url}/ads/transit"),
            namespace: Some("team".to_owned()),
            token_file: Some(token.path().to_owned()),
            aad_prefix: None,
        };
        place.token_file = Some(token.keep().unwrap().1);
        let mut vault = Vault::open(&place).unwrap();
        vault.asking = vault.asking.without_pauses();
        assert!(!format!("{vault:?}").contains("hunter2"));
        Box::new(vault)
    }

    #[tokio::test]
    async fn keys_are_unwrapped_and_wrapped() {
        let server = Server::playing(vec![
            Some((200, r#"{"request_id":"x","renewable":false,"data":{"plaintext":"MDEyMzQ1Njc4OTAxMjM0NQ==","key_version":1}}"#)),
            Some((200, r#"{"data":{"ciphertext":"vault:v1:abc","key_version":1}}"#)),
        ])
        .await;
        let vault = open(&server.url);
        let key = vault.unwrap_key("ads/price", "vault:v1:abc").await.unwrap();
        assert_eq!(key.bytes(), b"0123456789012345");
        assert_eq!(vault.wrap_key("kf", &key).await.unwrap(), "vault:v1:abc");
        let asked = server.asked();
        assert!(
            asked[0].starts_with("POST /v1/ads/transit/decrypt/ads%2Fprice HTTP/1.1\r\n"),
            "{}",
            asked[0]
        );
        for header in [
            "x-vault-token: hunter2",
            "x-vault-namespace: team",
            "content-type: application/json",
        ] {
            assert!(
                asked[0].contains(&format!("\r\n{header}\r\n")),
                "{}",
                asked[0]
            );
        }
        assert!(
            asked[0].ends_with(r#"{"ciphertext":"vault:v1:abc"}"#),
            "{}",
            asked[0]
        );
        assert!(
            asked[1].starts_with("POST /v1/ads/transit/encrypt/kf HTTP/1.1\r\n"),
            "{}",
            asked[1]
        );
        assert!(
            asked[1].ends_with(&format!(r#"{{"plaintext":"{KEY}"}}"#)),
            "{}",
            asked[1]
        );
    }

    #[tokio::test]
    async fn faults_are_told_apart() {
        let error = |text| Some((400, text));
        check_faults(
            open,
            vec![
                (
                    Some((
                        403,
                        r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#,
                    )),
                    Fault::Denied,
                    1,
                    "permission denied",
                ),
                (
                    Some((403, r#"{"errors":["hunter2 is no good"]}"#)),
                    Fault::Denied,
                    1,
                    "denied",
                ),
                (
                    error(r#"{"errors":["encryption key not found"]}"#),
                    Fault::Denied,
                    1,
                    "there is no key",
                ),
                (
                    error(r#"{"errors":["cipher: message authentication failed"]}"#),
                    Fault::Denied,
                    1,
                    "is wrong",
                ),
                (
                    error(r#"{"errors":["invalid ciphertext: no prefix"]}"#),
                    Fault::Denied,
                    1,
                    "is wrong",
                ),
                (
                    Some((404, r#"{"errors":["no handler for route"]}"#)),
                    Fault::Denied,
                    1,
                    "there is no key",
                ),
                (Some((200, "{}")), Fault::Unavailable, 1, "without a key"),
                (Some((307, "")), Fault::Unavailable, 1, "elsewhere"),
                (
                    Some((503, r#"{"errors":["Vault is sealed"]}"#)),
                    Fault::Unavailable,
                    6,
                    "503",
                ),
                (Some((429, "")), Fault::Unavailable, 6, "429"),
                (None, Fault::Unavailable, 6, "asked 6 times"),
            ],
        )
        .await;
    }

    #[tokio::test]
    async fn a_service_that_comes_back_is_met_again() {
        let given = Some((200, r#"{"data":{"plaintext":"MDEyMzQ1Njc4OTAxMjM0NQ=="}}"#));
        let server = Server::playing(vec![Some((500, "")), None, Some((429, "")), given]).await;
        unwrap(&*open(&server.url)).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_can_choose_no_other_path() {
        let server = Server::playing(vec![Some((403, "{}")); 2]).await;
        let vault = open(&server.url);
        for name in ["..", ".", ""] {
            assert!(vault.unwrap_key(name, "w").await.is_err());
        }
        assert_eq!(server.asked().len(), 0);
        for name in ["../../sys/seal", "k?list=true"] {
            assert!(vault.unwrap_key(name, "w").await.is_err());
        }
        for asked in server.asked() {
            let path = asked.split(' ').nth(1).unwrap();
            let name = path.strip_prefix("/v1/ads/transit/decrypt/").unwrap();
            assert!(!name.contains(['/', '?']), "{path}");
        }
    }

    #[test]
    fn tokens_are_not_sent_in_the_clear() {
        for url in ["http://vault:8200/transit", "ftp://vault/transit", "vault"] {
            assert!(super::super::address(url).is_err(), "{url}");
        }
        for url in [
            "https://vault:8200/transit",
            "http://127.0.0.1:8200/transit",
            "http://[::1]/t",
        ] {
            super::super::address(url).unwrap();
        }
        let nowhere = VaultPlace {
            url: "https://vault:8200/".to_owned(),
            token_file: Some("/nowhere".into()),
            ..VaultPlace::default()
        };
        let error = Vault::open(&nowhere).unwrap_err();
        assert!(error.to_string().contains("mount"), "{error}");
    }
}

#[cfg(feature = "aws-kms")]
mod aws_kms {
    use object_store::StaticCredentialProvider;
    use object_store::aws::AwsCredential;

    use super::super::aws_kms::AwsKms;
    use super::super::{Asking, address};
    use super::*;

    fn open(url: &str) -> Box<dyn KeyProvider> {
        let credential = AwsCredential {
            key_id: "AKIDEXAMPLE".to_owned(),
            secret_key: "hunter2".to_owned(),
            token: Some("session-hunter2".to_owned()),
        };
        let kms = AwsKms {
            asking: Asking::new(None).unwrap().without_pauses(),
            credentials: Arc::new(StaticCredentialProvider::new(credential)),
            region: "eu-west-1".to_owned(),
            url: address(url).unwrap(),
            aad_prefix: None,
        };
        assert!(!format!("{kms:?}").contains("hunter2"));
        Box::new(kms)
    }

    #[tokio::test]
    async fn keys_are_unwrapped_and_wrapped() {
        let server = Server::playing(vec![
            Some((200, r#"{"KeyId":"arn:…","Plaintext":"MDEyMzQ1Njc4OTAxMjM0NQ==","EncryptionAlgorithm":"SYMMETRIC_DEFAULT"}"#)),
            Some((200, r#"{"CiphertextBlob":"AQID","KeyId":"arn:…"}"#)),
        ])
        .await;
        let kms = open(&server.url);
        let key = kms.unwrap_key("alias/price", "AQID").await.unwrap();
        assert_eq!(key.bytes(), b"0123456789012345");
        assert_eq!(kms.wrap_key("alias/price", &key).await.unwrap(), "AQID");
        let asked = server.asked();
        assert!(asked[0].starts_with("POST / HTTP/1.1\r\n"), "{}", asked[0]);
        for part in [
            "\r\nx-amz-target: TrentService.Decrypt\r\n",
            "\r\ncontent-type: application/x-amz-json-1.1\r\n",
            "\r\nx-amz-security-token: session-hunter2\r\n",
            "Credential=AKIDEXAMPLE/",
            "/eu-west-1/kms/aws4_request",
            "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token;x-amz-target",
            r#"{"CiphertextBlob":"AQID","KeyId":"alias/price"}"#,
        ] {
            assert!(asked[0].contains(part), "{part} is not in {}", asked[0]);
        }
        assert!(
            asked[1].contains("TrentService.Encrypt") && asked[1].contains(KEY),
            "{}",
            asked[1]
        );
    }

    #[tokio::test]
    async fn faults_are_told_apart() {
        let refused = |text| Some((400, text));
        check_faults(open, vec![
            (refused(r#"{"__type":"AccessDeniedException","Message":"User: arn:x is not authorized to perform: kms:Decrypt"}"#), Fault::Denied, 1, "not authorized"),
            (refused(r#"{"__type":"UnrecognizedClientException","message":"The security token hunter2 is invalid."}"#), Fault::Denied, 1, "denied"),
            (refused(r#"{"__type":"com.amazonaws.kms#NotFoundException","message":"no"}"#), Fault::Denied, 1, "there is no key"),
            (refused(r#"{"__type":"InvalidCiphertextException"}"#), Fault::Denied, 1, "is wrong"),
            (refused(r#"{"__type":"DisabledException","message":"it is disabled"}"#), Fault::Denied, 1, "disabled"),
            (refused(r#"{"__type":"ThrottlingException"}"#), Fault::Unavailable, 6, "Throttling"),
            (Some((500, r#"{"__type":"KMSInternalException"}"#)), Fault::Unavailable, 6, "500"),
            (Some((200, "no JSON")), Fault::Unavailable, 1, "without a key"),
            (None, Fault::Unavailable, 6, "asked 6 times"),
        ])
        .await;
    }
}

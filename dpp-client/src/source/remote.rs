//! Workers over gRPC: whoever answers describes and opens; reads go on elsewhere when they break.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use dpp_batch::Layout;
use dpp_proto::{
    access::{Caller, Channel, Files},
    fault::message_with_causes,
    stream::STREAM_WINDOW_BYTES,
    v1::{self, worker_client::WorkerClient},
};
use futures::{FutureExt as _, future::BoxFuture};
use tokio::time::timeout;
use tonic::{Status, Streaming};

use super::{
    Credits, Description, Events, OpenJob, Reports, Source, failover,
    patience::{Patience, is_worth_another, refused},
    workers::{WorkerSettings, Workers},
};
use crate::Error;

/// Workers as a source.
#[derive(Clone, Debug)]
pub struct Remote {
    workers: Arc<Workers>,
    settings: WorkerSettings,
}

impl Remote {
    /// Workers of a service: `host:port,host:port`, `unix:/path`, `dns://name:port` or `fleet://host:port`. Connects when first asked.
    ///
    /// Called by TLS when the environment names certificates (`DPP_TLS_CA`; `DPP_TLS_CERT` and `DPP_TLS_KEY` where services
    /// let in only callers that they know), with the token of `DPP_TOKEN_FILE`. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the service can't be parsed or the certificates or the token can't be used.
    pub fn new(service: &str, settings: WorkerSettings) -> Result<Remote, Error> {
        let caller = Files::from_environment().caller();
        let caller = caller.map_err(|error| Error::invalid(message_with_causes(&error)))?;
        Remote::called(service, caller, settings)
    }

    /// As [`Remote::new`], called as `caller` calls, whatever the environment says.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the service can't be parsed.
    pub fn called(
        service: &str,
        caller: Caller,
        settings: WorkerSettings,
    ) -> Result<Remote, Error> {
        Ok(Remote {
            workers: Arc::new(Workers::parse(service, caller)?),
            settings,
        })
    }

    /// Asks one worker after another until one answers; an answer that will not change is returned.
    async fn ask<T>(
        &self,
        key: &str,
        call: impl Fn(WorkerClient<Channel>) -> BoxFuture<'static, Result<T, Status>>,
    ) -> Result<T, Error> {
        let mut patience =
            Patience::new(&self.workers, self.settings.worker_timeout).beginning_now();
        loop {
            let chosen = patience.choose(key).await?;
            let answer = match answers(chosen.client.clone()).await {
                Ok(()) => call(chosen.client.clone()).await,
                Err(status) => Err(status),
            };
            match answer {
                Ok(answer) => {
                    chosen.answered();
                    return Ok(answer);
                }
                Err(status) if is_worth_another(&status) => {
                    chosen.failed();
                    patience.note(&chosen.address, &status);
                }
                Err(status) => return Err(refused(&status)),
            }
        }
    }
}

#[async_trait]
impl Source for Remote {
    async fn describe(
        &self,
        table: &v1::TableSource,
        plan: v1::Plan,
    ) -> Result<Description, Error> {
        let request = v1::DescribeRequest {
            table: Some(table.clone()),
            plan: Some(plan),
        };
        self.ask(&table.url, |mut worker| {
            let request = request.clone();
            async move { description(worker.describe(request).await?.into_inner()).await }.boxed()
        })
        .await
    }

    async fn open(
        &self,
        job: v1::Job,
        run: v1::Run,
        layout: Arc<Layout>,
    ) -> Result<OpenJob, Error> {
        let request = v1::OpenJobRequest {
            job: Some(job.clone()),
            run: Some(run.clone()),
        };
        let url = job.table.as_ref().map_or("", |table| &table.url).to_owned();
        let response = self
            .ask(&url, |mut worker| {
                let request = request.clone();
                async move { worker.open_job(request).await }.boxed()
            })
            .await?;
        Ok(OpenJob {
            job,
            run,
            job_hash: response.into_inner().job_hash,
            layout,
        })
    }

    fn read(&self, job: &Arc<OpenJob>, request: v1::ReadRequest, credits: Credits) -> Events {
        let (workers, job) = (self.workers.clone(), job.clone());
        failover::start(workers, self.settings, job, request, credits)
    }

    fn window_bytes(&self) -> u64 {
        // what a read may have on the wire before it is admitted
        STREAM_WINDOW_BYTES.into()
    }

    fn report(&self, reports: Reports) {
        self.workers.report(reports);
    }

    fn reads_ahead(&self) -> usize {
        (2 * self.workers.count()).max(2)
    }
}

/// A listener that accepts and then says nothing must not hold up a long call: it is asked something short first.
async fn answers(mut worker: WorkerClient<Channel>) -> Result<(), Status> {
    match timeout(ANSWER_TIMEOUT, worker.stats(v1::StatsRequest {})).await {
        Ok(answer) => answer.map(|_| ()),
        Err(_) => Err(Status::deadline_exceeded(format!(
            "it accepts connections but did not answer within {ANSWER_TIMEOUT:?}"
        ))),
    }
}

async fn description(mut messages: Streaming<v1::DescribeResponse>) -> Result<Description, Status> {
    let mut described = messages
        .message()
        .await?
        .ok_or_else(|| Status::unavailable("the description broke off"))?;
    while let Some(more) = messages.message().await? {
        described.files.extend(more.files);
    }
    Description::of(described).map_err(Status::internal)
}

const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

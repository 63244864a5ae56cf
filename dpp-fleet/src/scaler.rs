//! KEDA's external scaler: Kubernetes asks how many workers are required, and owns the scaling.
//!
//! The metric is the number of required workers and its target is 1, so KEDA's replicas are that number. While it is
//! not known, calls fail as unavailable: KEDA then keeps the replicas it has, or goes to its `fallback`.

use std::pin::Pin;

use dpp_proto::keda::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec,
    MetricValue, ScaledObjectRef, external_scaler_server::ExternalScaler,
};
use tokio_stream::{Stream, StreamExt as _, wrappers::WatchStream};
use tonic::{Request, Response, Status};

use crate::server::Service;

/// Answers KEDA.
#[derive(Debug)]
pub(crate) struct Scaler {
    service: Service,
}

impl Scaler {
    pub(crate) fn new(service: Service) -> Scaler {
        Scaler { service }
    }

    fn required(&self) -> Result<u32, Status> {
        let required = *self.service.required().borrow();
        required.ok_or_else(|| {
            Status::unavailable("the fleet has just begun: required workers are not known yet")
        })
    }
}

#[tonic::async_trait]
impl ExternalScaler for Scaler {
    type StreamIsActiveStream =
        Pin<Box<dyn Stream<Item = Result<IsActiveResponse, Status>> + Send>>;

    async fn is_active(
        &self,
        _: Request<ScaledObjectRef>,
    ) -> Result<Response<IsActiveResponse>, Status> {
        let result = self.required()? > 0;
        Ok(Response::new(IsActiveResponse { result }))
    }

    async fn stream_is_active(
        &self,
        _: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamIsActiveStream>, Status> {
        let changes = WatchStream::new(self.service.required()).filter_map(|required| {
            let result = required? > 0;
            Some(Ok(IsActiveResponse { result }))
        });
        Ok(Response::new(Box::pin(changes)))
    }

    async fn get_metric_spec(
        &self,
        _: Request<ScaledObjectRef>,
    ) -> Result<Response<GetMetricSpecResponse>, Status> {
        let spec = MetricSpec {
            metric_name: METRIC.into(),
            target_size: 1,
            target_size_float: 1.0,
        };
        Ok(Response::new(GetMetricSpecResponse {
            metric_specs: vec![spec],
        }))
    }

    async fn get_metrics(
        &self,
        request: Request<GetMetricsRequest>,
    ) -> Result<Response<GetMetricsResponse>, Status> {
        let asked = request.into_inner().metric_name;
        if asked != METRIC {
            return Err(Status::invalid_argument(format!(
                "no metric {:?}: the only one is {METRIC}",
                asked.chars().take(64).collect::<String>()
            )));
        }
        let required = self.required()?;
        let value = MetricValue {
            metric_name: asked,
            metric_value: required.into(),
            metric_value_float: required.into(),
        };
        Ok(Response::new(GetMetricsResponse {
            metric_values: vec![value],
        }))
    }
}

const METRIC: &str = "dpp_required_workers";

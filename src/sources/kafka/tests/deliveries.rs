//! What became of records that a test writes to a broker.

use rdkafka::ClientContext;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use std::sync::Mutex;

/// What the broker did not take: `flush` alone says nothing of it.
#[derive(Default)]
pub(crate) struct Deliveries {
    failed: Mutex<Vec<String>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        use RDKafkaErrorCode::{PurgeInflight, PurgeQueue};
        if let Err((error, record)) = result
            && !matches!(error.rdkafka_error_code(), Some(PurgeQueue | PurgeInflight))
        // of an aborted transaction
        {
            self.failed.lock().unwrap().push(format!("{}/{}: {error}", record.topic(), record.partition()));
        }
    }
}

impl Deliveries {
    /// # Panics
    /// When a record was not taken.
    pub(crate) fn well(&self) {
        let failed = self.failed.lock().unwrap();
        assert!(failed.is_empty(), "{} records were not taken, first {}", failed.len(), failed[0]);
    }
}

//! Real object stores: a prefix of one's own in the bucket that their script makes.

use super::stand_in::Interface;
use super::{fresh, needs, wait_for};
use futures_util::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};

/// Each server for tests: its variable, and the interface that it has.
const SERVERS: [(&str, &str, Interface); 3] = [
    ("SeaweedFS", "MINUTELY_TEST_S3_URL", Interface::S3),
    ("moto", "MINUTELY_TEST_MOTO_URL", Interface::S3),
    ("Azurite", "MINUTELY_TEST_AZURITE_URL", Interface::Azure),
];
/// Of every server that `experiments/servers/buckets` starts.
const KEY: &str = "minutely";
const SECRET: &str = "minutely-secret";
/// The same secret, as Azure's are written: base64.
const AZURE_SECRET: &str = "bWludXRlbHktc2VjcmV0";
const BUCKET: &str = "states";

/// A place for one state.
#[derive(Clone, Debug)]
pub(crate) struct Prefix {
    pub(crate) server: &'static str,
    pub(crate) interface: Interface,
    pub(crate) url: String,
    pub(crate) name: String,
}

impl Prefix {
    /// One on each of the servers for tests, or notes that this test is left out.
    pub(crate) fn of_tests(what: &str) -> Vec<Self> {
        let one = |(server, variable, interface): (&'static str, &str, Interface)| {
            let url = needs(&format!("{what}, on {server}"), variable)?;
            Some(Prefix::on(server, interface, url))
        };
        SERVERS.into_iter().filter_map(one).collect()
    }

    /// One on this server.
    pub(crate) fn on(server: &'static str, interface: Interface, url: String) -> Self {
        Prefix { server, interface, url, name: format!("tests/{}", fresh("state")) }
    }

    /// As `--state`.
    pub(crate) fn uri(&self) -> String {
        format!("{}://{BUCKET}/{}", self.interface.scheme(), self.name)
    }

    /// What the program needs in its environment.
    pub(crate) fn env(&self) -> Vec<(&str, &str)> {
        let secret = if self.interface == Interface::Azure { AZURE_SECRET } else { SECRET };
        self.interface.env(&self.url, KEY, secret)
    }

    /// Another one on the same server.
    pub(crate) fn another(&self) -> Self {
        Prefix { name: format!("{}-copy", self.name), ..self.clone() }
    }

    fn store(&self) -> Box<dyn ObjectStore> {
        if self.interface == Interface::Azure {
            let builder = MicrosoftAzureBuilder::new().with_endpoint(self.url.clone()).with_allow_http(true);
            let builder = builder.with_container_name(BUCKET).with_account(KEY).with_access_key(AZURE_SECRET);
            return Box::new(builder.build().unwrap());
        }
        let builder = AmazonS3Builder::new().with_endpoint(&self.url).with_allow_http(true).with_region("us-east-1");
        let builder = builder.with_bucket_name(BUCKET).with_access_key_id(KEY).with_secret_access_key(SECRET);
        Box::new(builder.build().unwrap())
    }

    fn key(&self, name: &str) -> Key {
        Key::from(format!("{}/{name}", self.name))
    }

    /// All that is there, by name below the prefix, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let found = wait_for(async {
            let listed = self.store().list(Some(&Key::from(self.name.as_str())));
            listed.try_collect::<Vec<_>>().await.unwrap()
        });
        let below = |key: &Key| key.as_ref().strip_prefix(&format!("{}/", self.name)).map(str::to_owned);
        let mut names: Vec<String> = found.iter().filter_map(|meta| below(&meta.location)).collect();
        names.sort();
        names
    }

    /// Numbers of manifests, in order.
    pub(crate) fn manifests(&self) -> Vec<u64> {
        self.names().iter().filter_map(|name| name.strip_prefix("manifest/")?.parse().ok()).collect()
    }

    pub(crate) fn get(&self, name: &str) -> Vec<u8> {
        wait_for(async { self.store().get(&self.key(name)).await.unwrap().bytes().await.unwrap().to_vec() })
    }

    pub(crate) fn put(&self, name: &str, bytes: Vec<u8>) {
        wait_for(async { self.store().put(&self.key(name), bytes.into()).await.unwrap() });
    }

    pub(crate) fn delete(&self, name: &str) {
        wait_for(async { self.store().delete(&self.key(name)).await.unwrap() });
    }
}

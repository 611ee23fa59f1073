use super::feed::prefetch;
use super::*;

#[test]
fn streams_are_the_same_wherever_the_server_is() {
    let one = identity("rabbitmq://me:secret@a:1/b,a");
    assert_eq!(one, "rabbitmq:a,b");
    assert_eq!(one, identity("rabbitmqs://other/%2f/a,b?password_env=X"));
    assert_eq!(identity("rabbitmq://a/prod/t"), "rabbitmq:prod/t");
    assert_ne!(identity("rabbitmq://a/b%2Cc"), identity("rabbitmq://a/b,c"));
    assert_ne!(identity("rabbitmq://a/b%2Fc"), identity("rabbitmq://a/b/c"));
}

#[test]
fn records_on_their_way_fit_into_the_memory() {
    assert_eq!(prefetch(256_000_000), 4000);
    assert_eq!(prefetch(3_276_800), 100);
    assert_eq!(prefetch(0), 1);
}

# minutely, alone: the program and the certificates of the world's authorities. docker build -t minutely .
FROM rust:1.89.0-bookworm AS build
WORKDIR /src
COPY . .
# Registry and target stay in the builder's cache: OpenSSL, librdkafka and SQLite are compiled once.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package minutely --bin minutely \
    && install --strip --mode=755 target/release/minutely /usr/local/bin/minutely

FROM debian:12.12-slim
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/bin/minutely /usr/local/bin/minutely
# Its owner's alone, and so is a volume that begins here. (COPY of a folder would make it anew, open to all.)
RUN install --directory --mode=700 --owner=10001 --group=10001 /var/lib/minutely
ENV MINUTELY_DATA=/var/lib/minutely
VOLUME /var/lib/minutely
WORKDIR /var/lib/minutely
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["/usr/local/bin/minutely", "health"]
ENTRYPOINT ["/usr/local/bin/minutely"]

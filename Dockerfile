# Two images from one build: docker build --target ordering . and docker build --target billing .

# The manifests with empty programs: all that decides how the dependencies are built.
FROM rust:1.95-bookworm AS manifests
WORKDIR /src
COPY . .
RUN find . -type f -path '*/src/*' ! -name main.rs ! -name lib.rs -delete \
 && find . -type f ! -name '*.rs' ! -name Cargo.toml ! -name Cargo.lock -delete \
 && find . -type d -empty -delete \
 && find . -name '*.rs' -exec sh -c 'for file; do echo "fn main() { }" >"$file"; done' _ {} +

FROM rust:1.95-bookworm AS build
WORKDIR /src
# The dependencies, in a layer that stays while only our sources change.
COPY --from=manifests /src .
RUN cargo build --release --locked -p ordering -p billing --bins
COPY . .
# Touched, because the files copied may be older than the empty ones just built.
RUN find crates -name '*.rs' -exec touch {} + \
 && cargo build --release --locked -p ordering -p billing --bins \
 && mkdir /out && cp target/release/ordering target/release/billing /out/

FROM debian:bookworm-slim AS runtime
# Certificates are for databases and services that are reached over TLS.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --user-group --home-dir /var/lib/lockstep --create-home lockstep
COPY deploy/healthcheck /usr/local/bin/
USER lockstep
# Where a relative SQLite path (data/…) leads; mount a volume here to keep it.
WORKDIR /var/lib/lockstep

FROM runtime AS ordering
COPY --from=build /out/ordering /usr/local/bin/
# On any address but loopback the service starts only with ORDERING_API_TOKEN.
ENV ORDERING_LISTEN=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 CMD healthcheck "$ORDERING_LISTEN"
ENTRYPOINT ["ordering"]
CMD ["serve"]

FROM runtime AS billing
COPY --from=build /out/billing /usr/local/bin/
# On any address but loopback the service starts only with BILLING_API_TOKEN.
ENV BILLING_LISTEN=0.0.0.0:8081
EXPOSE 8081
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 CMD healthcheck "$BILLING_LISTEN"
ENTRYPOINT ["billing"]
CMD ["serve"]

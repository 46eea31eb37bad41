# Builds the one binary; the final image holds it and the queries.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked && cp target/release/eddyline /usr/local/bin/eddyline

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=build /usr/local/bin/eddyline /usr/local/bin/eddyline
COPY queries /queries
ENTRYPOINT ["eddyline"]
CMD ["run", "/queries"]

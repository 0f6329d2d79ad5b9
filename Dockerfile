# The service and its other commands (check, load, verify) as one small image, for any builder.
# .env says which images these are when Compose builds; the defaults are the same.
ARG PHASELAB_RUST_IMAGE=rust:1.95-bookworm
ARG PHASELAB_RUNTIME_IMAGE=debian:bookworm-slim

FROM ${PHASELAB_RUST_IMAGE} AS build
WORKDIR /build

# A layer with the dependencies alone: it lasts until a manifest or the lock file changes. Empty sources
# stand in for ours, and targets that name files of their own are taken out of the manifests.
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock ./
COPY crates/otel-exemplars/Cargo.toml crates/otel-exemplars/
COPY crates/otlp-testkit/Cargo.toml crates/otlp-testkit/
COPY crates/span-profiler/Cargo.toml crates/span-profiler/
COPY xtask/Cargo.toml xtask/
RUN set -eu; \
    for package in . crates/otel-exemplars crates/otlp-testkit crates/span-profiler xtask; do \
      mkdir "$package/src"; \
      touch "$package/src/lib.rs"; \
      sed -i '/^\[\[/,/^$/d' "$package/Cargo.toml"; \
    done; \
    echo 'fn main() {}' > src/main.rs; \
    cargo build --release --locked --package phaselab --bin phaselab

COPY crates/otel-exemplars crates/otel-exemplars
COPY crates/span-profiler crates/span-profiler
COPY src src
# Cargo goes by modification times, and those of the checkout may be older than those of the stand-ins.
# The line tables stay, because profiles need them, at a third of their size.
RUN set -eu; \
    sed -i '/^\[\[/,/^$/d' crates/otel-exemplars/Cargo.toml crates/span-profiler/Cargo.toml; \
    touch src/main.rs src/lib.rs crates/otel-exemplars/src/lib.rs crates/span-profiler/src/lib.rs; \
    cargo build --release --locked --package phaselab --bin phaselab; \
    objcopy --compress-debug-sections=zlib target/release/phaselab /phaselab

FROM ${PHASELAB_RUNTIME_IMAGE}
# A new volume takes over the owner of the folder it is mounted on.
RUN install -d -m 750 -o 10001 -g 10001 /var/lib/phaselab
COPY LICENSE-APACHE LICENSE-MIT /usr/share/doc/phaselab/
COPY --from=build /phaselab /usr/local/bin/phaselab
ENV PHASELAB_LISTEN=0.0.0.0:8080 \
    PHASELAB_DATABASE=/var/lib/phaselab/phaselab.db
USER 10001:10001
EXPOSE 8080 6060 8081 6061 8082 6062
ENTRYPOINT ["/usr/local/bin/phaselab"]
CMD ["serve"]

# A static binary and certificates, run as nobody in particular. Mount the folder that holds `stacks/` and `state/`:
#   docker run --rm --user "$(id -u)" --volume "$PWD:/work" lifeboat plan woocommerce --sandbox
FROM docker.io/library/rust:1.95-alpine AS build
RUN apk add --no-cache musl-dev gcc make
WORKDIR /src
COPY . .
RUN cargo build --locked --profile dist && cp target/dist/lifeboat /lifeboat

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /lifeboat /lifeboat
USER 65534:65534
WORKDIR /work
ENTRYPOINT ["/lifeboat"]

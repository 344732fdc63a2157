# The program is built on the Go image and runs on a small Debian, whose shell docker-compose.yml hands it the password with.
FROM golang:1.26 AS build
# Where modules come from; empty is Go's default. Give it where that is slow or out of reach.
ARG GOPROXY
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# Each run records the program's version. It is the commit's, where the source came with its repository.
RUN --mount=type=cache,target=/root/.cache/go-build \
    vcs=false && if git rev-parse --verify HEAD >/dev/null 2>&1; then vcs=true; fi && \
    CGO_ENABLED=0 go build -buildvcs=$vcs -trimpath -tags timetzdata -ldflags '-s -w' -o /posrecon ./cmd/posrecon

FROM debian:trixie-slim
COPY --from=build /posrecon /usr/local/bin/
USER 65532:65532
ENTRYPOINT ["posrecon"]

package testdb

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/testcontainers/testcontainers-go"
)

// container is a server in a Docker container, for machines without server programs.
var container = source{name: "container", attach: attachContainer}

const (
	containerImage    = "postgres:17-alpine"
	containerUser     = "posrecon"
	containerPassword = "posrecon" // guards test data only
	containerPort     = "5432/tcp"
	readyPoll         = 100 * time.Millisecond
)

// attachContainer uses the container that another process started, or starts it.
func attachContainer(ctx context.Context, _ string) (_ string, _ func(context.Context) error, err error) {
	if err := dockerAnswers(ctx); err != nil {
		return "", nil, fmt.Errorf("%w: no Docker engine answers: %w", errAbsent, err)
	}
	c, err := testcontainers.Run(ctx, containerImage,
		testcontainers.WithReuseByName("posrecon-test-"+strconv.Itoa(os.Getuid())),
		testcontainers.WithExposedPorts(containerPort),
		testcontainers.WithEnv(map[string]string{"POSTGRES_USER": containerUser, "POSTGRES_PASSWORD": containerPassword}),
		testcontainers.WithCmd("postgres", "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off",
			"-c", "max_connections=200"),
	)
	if err != nil {
		return "", nil, fmt.Errorf("start %s: %w", containerImage, err)
	}
	endpoint, err := c.PortEndpoint(ctx, containerPort, "")
	if err != nil {
		return "", nil, fmt.Errorf("find the port of %s: %w", containerImage, err)
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(containerUser, containerPassword), Host: endpoint,
		Path: "/postgres", RawQuery: "sslmode=disable"}
	stop := func(ctx context.Context) error { return c.Terminate(ctx) }
	return u.String(), stop, awaitPing(ctx, u.String())
}

// dockerAnswers turns testcontainers' panic on a machine without Docker into an error.
func dockerAnswers(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		return err
	}
	defer provider.Close()
	return provider.Health(ctx)
}

// awaitPing waits for a server to take connections. The image's first server, which only prepares the files, listens on
// no port and is not mistaken for the real one.
func awaitPing(ctx context.Context, url string) error {
	for {
		err := ping(ctx, url)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s takes no connections (%w): %w", containerImage, context.Cause(ctx), err)
		case <-time.After(readyPoll):
		}
	}
}

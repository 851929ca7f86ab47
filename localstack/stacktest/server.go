// Package stacktest serves parts of the local stack to tests, over real HTTP and through the whole chain.
package stacktest

import (
	"net/http/httptest"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Elsewhere names the environment variable that sends a conformance suite to another endpoint, such as LocalStack.
const Elsewhere = "MAYFLY_CONFORMANCE_ENDPOINT"

// Server is a running endpoint. Where the suite runs elsewhere, only Config and URL are set.
type Server struct {
	Config   aws.Config // root credentials, no retries beyond the SDK's own
	URL      string
	Clock    *stack.Clock
	IDs      *stack.Identities
	Endpoint *stack.Endpoint
}

// Serve starts the services behind one endpoint, or finds the endpoint of Elsewhere, and returns how to reach it as the
// account's root. It is for suites that need nothing but the AWS API.
func Serve(t testing.TB, services ...stack.Service) aws.Config {
	t.Helper()
	if url := os.Getenv(Elsewhere); url != "" {
		return config(url, stack.Credentials{AccessKeyID: "test", SecretAccessKey: "test"})
	}
	return Start(t, stack.NewClock(), services...).Config
}

// Start starts the services behind one endpoint of this process, for tests that steer it. The services should have been
// made with the same clock.
func Start(t testing.TB, clock *stack.Clock, services ...stack.Service) *Server {
	t.Helper()
	ids := stack.NewIdentities()
	return StartWith(t, clock, ids, services...)
}

// StartWith is Start with a book of identities that the services share.
func StartWith(t testing.TB, clock *stack.Clock, ids *stack.Identities, services ...stack.Service) *Server {
	t.Helper()
	endpoint := stack.NewEndpoint(clock, ids, services...)
	server := httptest.NewServer(endpoint)
	t.Cleanup(func() {
		endpoint.SetAuto(false)
		server.CloseClientConnections()
		server.Close()
	})
	return &Server{Config: config(server.URL, stack.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}), URL: server.URL,
		Clock: clock, IDs: ids, Endpoint: endpoint}
}

// As returns a configuration with credentials that are issued to an identity.
func (s *Server) As(id stack.Identity) aws.Config { return config(s.URL, s.IDs.Issue(id)) }

// Local skips a test that only makes sense against this process, because it moves the clock or looks inside.
func Local(t testing.TB) {
	t.Helper()
	if os.Getenv(Elsewhere) != "" {
		t.Skipf("needs the local stack in this process; %s is set", Elsewhere)
	}
}

func config(url string, c stack.Credentials) aws.Config {
	return aws.Config{
		Region:       stack.Region,
		BaseEndpoint: aws.String(url),
		Credentials:  credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken),
	}
}

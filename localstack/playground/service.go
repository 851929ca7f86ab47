package playground

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/credential"
)

// Service is a consumer as teams write them: it opens a new connection every few milliseconds with a value that it caches,
// and reads its secret again when the cached value is older than Cache. It notices everything that a rotation does wrong.
type Service struct {
	Secrets *secretsmanager.Client
	Secret  string
	Target  *contract.Target
	Every   time.Duration // between two logins; 0: 5 ms
	Cache   time.Duration // how long a value is used before it is read again; 0: 500 ms

	mu     sync.Mutex
	counts Counts
	cancel context.CancelFunc
	done   chan struct{}
}

// Counts is what a service saw.
type Counts struct {
	Logins   int    // that succeeded
	Failures int    // logins and reads that did not
	First    string // the first failure
	Versions int    // how many different versions it read
}

// Start begins to log in.
func (s *Service) Start(ctx context.Context) {
	ctx, s.cancel = context.WithCancel(ctx)
	s.done = make(chan struct{})
	go s.run(ctx)
}

// Stop ends the service and returns what it saw.
func (s *Service) Stop() Counts {
	s.cancel()
	<-s.done
	return s.Counts()
}

// Counts returns what the service saw so far.
func (s *Service) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

func (s *Service) run(ctx context.Context) {
	defer close(s.done)
	every, cache := s.Every, s.Cache
	if every == 0 {
		every = 5 * time.Millisecond
	}
	if cache == 0 {
		cache = 500 * time.Millisecond
	}
	var value credential.Value
	var version string
	var read time.Time
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if time.Since(read) > cache {
			out, err := s.Secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &s.Secret})
			if err != nil {
				s.note(ctx, fmt.Errorf("read %s: %w", s.Secret, err))
				continue
			}
			if id := aws.ToString(out.VersionId); id != version {
				version = id
				s.mu.Lock()
				s.counts.Versions++
				s.mu.Unlock()
			}
			value, read = credential.Parse(aws.ToString(out.SecretString)), time.Now()
		}
		s.note(ctx, Login(ctx, s.Target, value))
	}
}

// note counts one attempt; what fails because the service is being stopped does not count.
func (s *Service) note(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.counts.Logins++
		return
	}
	s.counts.Failures++
	if s.counts.First == "" {
		s.counts.First = time.Now().Format("15:04:05.000 ") + err.Error()
	}
}

// Login opens a connection as a service would, asks one question and closes it.
func Login(ctx context.Context, t *contract.Target, v credential.Value) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := Connect(ctx, t, v)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the server closes what we do not
	var one int
	return conn.QueryRow(ctx, "SELECT 1").Scan(&one)
}

// Connect opens a connection with a value.
func Connect(ctx context.Context, t *contract.Target, v credential.Value) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%d dbname=%s sslmode=disable application_name=service", t.Host, t.Port, t.Database))
	if err != nil {
		return nil, err
	}
	cfg.User, cfg.Password = v.User(), v.Password()
	if t.RootCert != "" {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM([]byte(t.RootCert))
		cfg.TLSConfig = &tls.Config{ServerName: t.Host, RootCAs: roots}
	}
	return pgx.ConnectConfig(ctx, cfg)
}

// Refused says that the server answered a login and said no.
func Refused(err error) bool {
	pgErr := new(pgconn.PgError)
	return err != nil && errors.As(err, &pgErr) && (pgErr.Code == "28P01" || pgErr.Code == "28000")
}

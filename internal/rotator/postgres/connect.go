package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
)

const connectTimeout = 5 * time.Second

// purpose of a connection: what it may do at most.
type purpose string

const (
	toChange purpose = "off" // values of default_transaction_read_only
	toLook   purpose = "on"
)

// connect logs in once. Nothing is taken from the environment or from files: neither PG* variables nor ~/.pgpass.
func connect(ctx context.Context, t *contract.Target, user, password string, p purpose) (*pgx.Conn, error) {
	secure, err := tlsConfig(t)
	if err != nil {
		return nil, err
	}
	// ParseConfig is the only way to a configuration; everything it may have found elsewhere is overwritten.
	config, err := pgx.ParseConfig("host=localhost port=5432 user=mayfly dbname=mayfly sslmode=disable passfile=/dev/null target_session_attrs=any")
	if err != nil {
		return nil, fault.New(fault.Internal, "prepare a connection: %v", err)
	}
	config.Host, config.Port, config.Database = t.Host, uint16(t.Port), t.Database
	config.User, config.Password = user, password
	config.TLSConfig, config.Fallbacks = secure, nil
	config.ConnectTimeout = connectTimeout
	// The password is proved, never sent: a server that asks for it in the clear, or for none at all, gets nothing. md5 is
	// for values that were there before Mayfly.
	config.RequireAuth = "scram-sha-256,md5"
	config.RuntimeParams = map[string]string{
		"application_name":                    "mayfly",
		"statement_timeout":                   "10s",
		"lock_timeout":                        "5s",
		"idle_in_transaction_session_timeout": "30s", // a function that died must not keep the secret's lock
		"default_transaction_read_only":       string(p),
		"standard_conforming_strings":         "on",
		"timezone":                            "UTC",
		"datestyle":                           "ISO",
	}
	// One round trip per statement, no prepared statements: each runs once.
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	config.StatementCacheCapacity, config.DescriptionCacheCapacity = 0, 0
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return pgx.ConnectConfig(ctx, config)
}

// tlsConfig reads the mode as libpq does (https://www.postgresql.org/docs/15/libpq-ssl.html), but for allow and prefer,
// which fall back to plaintext without saying so. An empty mode is verify-full.
func tlsConfig(t *contract.Target) (*tls.Config, error) {
	var roots *x509.CertPool // nil: the system's
	if t.RootCert != "" {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(t.RootCert)) {
			return nil, fault.New(fault.ContractInvalid, "root_cert of %s holds no certificate in PEM", address(t))
		}
	}
	config := &tls.Config{ServerName: t.Host, RootCAs: roots, MinVersion: tls.VersionTLS12}
	switch mode := t.TLS; {
	case mode == "disable":
		return nil, nil
	case mode == "" || mode == "verify-full":
		return config, nil
	case mode == "verify-ca", mode == "require" && roots != nil: // as libpq: a root certificate makes require verify-ca
		config.InsecureSkipVerify = true // replaced by the check below, which leaves the name out
		config.VerifyConnection = func(state tls.ConnectionState) error { return verifyChain(state, roots) }
		return config, nil
	case mode == "require":
		config.InsecureSkipVerify = true // encrypted, and no more was asked for
		return config, nil
	case mode == "allow", mode == "prefer":
		return nil, fault.New(fault.ContractInvalid, "tls: %s falls back to plaintext without a word; name require, verify-ca or verify-full, or say disable", mode)
	default:
		return nil, fault.New(fault.ContractInvalid, "tls: %q is not one of disable, require, verify-ca, verify-full", mode)
	}
}

func verifyChain(state tls.ConnectionState, roots *x509.CertPool) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the server sent no certificate")
	}
	intermediates := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		intermediates.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates})
	return err
}

func address(t *contract.Target) string {
	return net.JoinHostPort(t.Host, strconv.Itoa(t.Port)) + "/" + t.Database
}

// Package scram computes what PostgreSQL stores in place of a password, so that the password itself never travels in an
// ALTER ROLE statement, and so never reaches the server's statement log, pg_stat_activity or pg_stat_statements.
//
// The format is that of pg_authid.rolpassword (https://www.postgresql.org/docs/15/catalog-pg-authid.html); the arithmetic
// is RFC 5802 with SHA-256 (RFC 7677).
package scram

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
)

// Iterations is PostgreSQL's own default (scram_iterations). More would only slow every login down: the passwords hold
// 256 random bits, which no number of guesses finds.
const Iterations = 4096

const saltLength = 16 // bytes, as PostgreSQL's own verifiers have

// Verifier is the stored form of a password with a fresh salt from rand. The password must be printable ASCII, because
// other text would have to go through SASLprep first, on both sides alike.
func Verifier(password string, rand io.Reader) (string, error) {
	salt := make([]byte, saltLength)
	if _, err := io.ReadFull(rand, salt); err != nil {
		return "", fmt.Errorf("no randomness for a salt: %w", err)
	}
	return verifier(password, salt, Iterations)
}

func verifier(password string, salt []byte, iterations int) (string, error) {
	if password == "" {
		return "", fmt.Errorf("the password is empty")
	}
	for _, c := range []byte(password) {
		if c < ' ' || c > '~' {
			return "", fmt.Errorf("the password is not printable ASCII")
		}
	}
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("derive the key: %w", err)
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s",
		iterations, encode(salt), encode(stored[:]), encode(mac(salted, "Server Key"))), nil
}

func mac(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}

package scram

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"
)

// The exchange of RFC 7677 section 3: user "user", password "pencil". The RFC prints the proofs, not the stored keys, so
// the stored keys are checked by what they must do: verify the client's proof and produce the server's signature.
func TestVerifierPassesTheExchangeOfRFC7677(t *testing.T) {
	const (
		saltText    = "W22ZaJ0SNY7soEsUEjb6gQ=="
		authMessage = "n=user,r=rOprNGfwEbeRWgbNEkqO," +
			"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096," +
			"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
		clientProof     = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
		serverSignature = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
	)
	got, err := verifier("pencil", decode(t, saltText), 4096)
	if err != nil {
		t.Fatal(err)
	}
	parts := regexp.MustCompile(`^SCRAM-SHA-256\$4096:([^$]+)\$([^:]+):(.+)$`).FindStringSubmatch(got)
	if parts == nil || parts[1] != saltText {
		t.Fatalf("format: %s", got)
	}
	storedKey, serverKey := decode(t, parts[2]), decode(t, parts[3])

	if signature := mac(serverKey, authMessage); base64.StdEncoding.EncodeToString(signature) != serverSignature {
		t.Errorf("the server key does not produce the RFC's server signature")
	}
	clientKey := decode(t, clientProof)
	for i, b := range mac(storedKey, authMessage) {
		clientKey[i] ^= b
	}
	if sum := sha256.Sum256(clientKey); !bytes.Equal(sum[:], storedKey) {
		t.Errorf("the stored key does not verify the RFC's client proof")
	}
}

func TestVerifierRefusesWhatWouldNotLogIn(t *testing.T) {
	for name, password := range map[string]string{"empty": "", "control": "a\nb", "beyond ASCII": "pässword"} {
		if _, err := Verifier(password, bytes.NewReader(make([]byte, 16))); err == nil {
			t.Errorf("%s: want an error", name)
		} else if password != "" && strings.Contains(err.Error(), password) {
			t.Errorf("%s: the error shows the password", name)
		}
	}
	if _, err := Verifier("pencil", bytes.NewReader(make([]byte, 15))); err == nil {
		t.Error("a short source of randomness: want an error")
	}
}

func decode(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

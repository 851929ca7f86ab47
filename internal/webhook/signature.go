package webhook

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// claim is what a request says about its own signature: one of the MACs is the HMAC-SHA256 of the message.
type claim struct {
	message  [][]byte  // parts, one after the other
	macs     [][]byte  // 32 bytes each
	signedAt time.Time // zero where the scheme has no time
}

// tolerance is how far the time in a signature may be from Lambda's, either way.
const tolerance = 5 * time.Minute

// mostMACs bounds how many signatures of one request are looked at. PagerDuty sends one per secret of a subscription.
const mostMACs = 16

// gitHubClaim reads X-Hub-Signature-256: "sha256=" and 64 hex digits.
// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
func gitHubClaim(in *Request) (claim, error) {
	return macClaim(in, "x-hub-signature-256", "sha256=", 1, in.Body)
}

// pagerDutyClaim reads x-pagerduty-signature: "v1=" and 64 hex digits, several with commas in between.
// https://developer.pagerduty.com/docs/verifying-webhook-signatures
func pagerDutyClaim(in *Request) (claim, error) {
	return macClaim(in, "x-pagerduty-signature", "v1=", mostMACs, in.Body)
}

// timestampedClaim reads Mayfly's own scheme: X-Mayfly-Timestamp, in Unix seconds, and X-Mayfly-Signature, "v1=" and the
// HMAC-SHA256 of "<timestamp>.<body>" in hex, several with commas in between.
func timestampedClaim(in *Request) (claim, error) {
	written := in.header("x-mayfly-timestamp")
	if written == "" {
		return claim{}, unauthorized(SignatureMissing, "no header X-Mayfly-Timestamp")
	}
	seconds, err := strconv.ParseInt(written, 10, 64)
	if err != nil || len(written) > 12 || seconds < 0 {
		return claim{}, unauthorized(SignatureMalformed, "X-Mayfly-Timestamp is no time in Unix seconds")
	}
	c, err := macClaim(in, "x-mayfly-signature", "v1=", mostMACs, []byte(written), []byte("."), in.Body)
	c.signedAt = time.Unix(seconds, 0)
	return c, err
}

// macClaim reads a list of MACs with a prefix each. Digits may be of either case: they are the same bytes.
func macClaim(in *Request, name, prefix string, most int, message ...[]byte) (claim, error) {
	header := in.header(name)
	if header == "" {
		return claim{}, unauthorized(SignatureMissing, "no header "+name)
	}
	c := claim{message: message}
	for item := range strings.SplitSeq(header, ",") {
		digits, ok := strings.CutPrefix(strings.TrimSpace(item), prefix)
		mac, err := hex.DecodeString(digits)
		if !ok || err != nil || len(mac) != sha256.Size || len(c.macs) == most {
			return claim{}, unauthorized(SignatureMalformed, fmt.Sprintf("%s is not %q and 64 hex digits, at most %d times", name, prefix, most))
		}
		c.macs = append(c.macs, mac)
	}
	return c, nil
}

func unauthorized(code, message string) *Refusal {
	return &Refusal{http.StatusUnauthorized, code, message}
}

// by says whether a key made one of the MACs. It looks at every one, each in constant time.
func (c claim) by(key []byte) bool {
	if len(key) == 0 {
		return false // anyone can sign with the empty key
	}
	h := hmac.New(sha256.New, key)
	for _, part := range c.message {
		h.Write(part)
	}
	want, found := h.Sum(nil), false
	for _, mac := range c.macs {
		found = hmac.Equal(want, mac) || found
	}
	return found
}

// shared verifies with the key that Mayfly and the sender share: prod/webhook-<name>, current or previous version.
func (r *Receiver) shared(name string, read func(*Request) (claim, error)) func(context.Context, *Request) error {
	return func(ctx context.Context, in *Request) error {
		c, err := read(in)
		if err != nil {
			return err
		}
		if err := r.Keys.verify(ctx, name, c, in.At); err != nil {
			return err
		}
		if apart := in.At.Sub(c.signedAt).Abs(); !c.signedAt.IsZero() && apart > tolerance {
			return unauthorized(TimestampStale, "it was signed "+apart.Truncate(time.Second).String()+" from now; at most 5m0s are accepted")
		}
		return nil
	}
}

// PublicKeys are GitHub's keys for secret-scanning alerts, by identifier.
type PublicKeys map[string]*ecdsa.PublicKey

// ParsePublicKeys reads keys as https://api.github.com/meta/public_keys/secret_scanning gives them: {"public_keys":
// [{"key_identifier", "key": PEM, "is_current"}]}. Empty text is no keys. They are configuration: a receiver that fetched
// them would trust whoever answers.
func ParsePublicKeys(text string) (PublicKeys, error) {
	keys := PublicKeys{}
	if text == "" {
		return keys, nil
	}
	var published struct {
		Keys []struct {
			ID  string `json:"key_identifier"`
			Key string `json:"key"`
		} `json:"public_keys"`
	}
	if err := json.Unmarshal([]byte(text), &published); err != nil {
		return nil, fmt.Errorf("GitHub's public keys do not parse: %w", err)
	}
	for _, k := range published.Keys {
		block, _ := pem.Decode([]byte(k.Key))
		if block == nil || k.ID == "" {
			return nil, fmt.Errorf("GitHub's public key %q is no PEM with an identifier", k.ID)
		}
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("GitHub's public key %q does not parse: %w", k.ID, err)
		}
		key, ok := parsed.(*ecdsa.PublicKey)
		if !ok || key.Curve != elliptic.P256() {
			return nil, fmt.Errorf("GitHub's public key %q is not on the curve P-256", k.ID)
		}
		keys[k.ID] = key
	}
	return keys, nil
}

// verify checks Github-Public-Key-Signature, base64 of an ASN.1 signature over the SHA-256 of the body.
// https://docs.github.com/en/code-security/secret-scanning/secret-scanning-partnership-program/secret-scanning-partner-program
func (k PublicKeys) verify(_ context.Context, in *Request) error {
	id, written := in.header("github-public-key-identifier"), in.header("github-public-key-signature")
	if id == "" || written == "" {
		return unauthorized(SignatureMissing, "no header Github-Public-Key-Identifier or Github-Public-Key-Signature")
	}
	signature, err := base64.StdEncoding.DecodeString(written)
	if err != nil {
		return unauthorized(SignatureMalformed, "Github-Public-Key-Signature is no base64")
	}
	key, ok := k[id]
	if !ok {
		return unauthorized(KeyUnknown, "GitHub signed with a key that is not configured: compare the configured keys with the published ones")
	}
	digest := sha256.Sum256(in.Body)
	if !ecdsa.VerifyASN1(key, digest[:], signature) {
		return unauthorized(SignatureWrong, "the signature is not GitHub's over this body")
	}
	return nil
}

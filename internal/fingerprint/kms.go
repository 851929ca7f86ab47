package fingerprint

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// kms makes the one call to KMS that is needed, with the SDK's own HTTP client and signature. The SDK's client for KMS knows
// the schemas of all its operations and reads them when a function starts: a fifth of the start of an empty function, for
// each function that makes fingerprints.
type kms struct {
	cfg  aws.Config
	url  string
	http aws.HTTPClient
}

// newKMS takes the endpoint of the configuration, or the Region's own in the partition of the key.
// https://docs.aws.amazon.com/general/latest/gr/kms.html
func newKMS(cfg aws.Config, key string) kms {
	k := kms{cfg: cfg, url: aws.ToString(cfg.BaseEndpoint), http: cfg.HTTPClient}
	if k.url == "" {
		suffix := "amazonaws.com"
		if strings.HasPrefix(key, "arn:aws-cn:") {
			suffix = "amazonaws.com.cn"
		}
		k.url = "https://kms." + cfg.Region + "." + suffix
	}
	if k.http == nil {
		k.http = awshttp.NewBuildableClient()
	}
	return k
}

// The call is tried as often as the SDK would. It changes nothing, so any failure that may pass is tried again.
const (
	attempts   = 3
	firstPause = 50 * time.Millisecond
	mostAnswer = 64 << 10
)

func (k kms) generateMac(ctx context.Context, key string, message []byte) (mac []byte, err error) {
	body, err := json.Marshal(map[string]any{"KeyId": key, "MacAlgorithm": "HMAC_SHA_256", "Message": message})
	if err != nil {
		return nil, err
	}
	for attempt := range attempts {
		if attempt > 0 {
			pause := firstPause << attempt
			select {
			case <-time.After(pause/2 + rand.N(pause/2)): //nolint:gosec // no secret
			case <-ctx.Done():
				return nil, errors.Join(err, ctx.Err())
			}
		}
		var again bool
		if mac, again, err = k.try(ctx, body); err == nil || !again {
			return mac, err
		}
	}
	return nil, err
}

// try makes one attempt; again says that another one may do better.
func (k kms) try(ctx context.Context, body []byte) (mac []byte, again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, k.url+"/", bytes.NewReader(body))
	if err != nil {
		return nil, false, err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "TrentService.GenerateMac")
	who, err := k.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, false, err
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, who, req, hex.EncodeToString(sum[:]), "kms", k.cfg.Region, time.Now()); err != nil {
		return nil, false, err
	}
	resp, err := k.http.Do(req)
	if err != nil {
		return nil, true, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	if err != nil {
		return nil, true, err
	}
	var answer struct {
		Mac     []byte
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	err = json.Unmarshal(text, &answer)
	if resp.StatusCode != http.StatusOK {
		// https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html
		again = resp.StatusCode >= 500 || strings.Contains(answer.Type, "Throttling")
		return nil, again, fmt.Errorf("KMS answered %d %s: %s", resp.StatusCode, answer.Type, answer.Message)
	}
	if err != nil || len(answer.Mac) != sha256.Size {
		return nil, true, fmt.Errorf("KMS answered with no MAC of %d bytes", sha256.Size)
	}
	return answer.Mac, false, nil
}

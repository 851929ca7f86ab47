// Package wire makes calls in AWS's JSON protocol with the SDK's own HTTP client and signature, and none of its service
// clients. Those know the schemas of all their operations and read them when a function starts: for one call, that is a fifth of
// the start of an empty function or more.
package wire

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

// Service is one service of AWS's, in one Region.
type Service struct {
	name string // as it signs, and as its host begins: "kms"
	cfg  aws.Config
	url  string
	http aws.HTTPClient
}

// New takes the endpoint of the configuration, or the Region's own in the partition of an ARN; no ARN is the standard one.
// https://docs.aws.amazon.com/general/latest/gr/rande.html
func New(cfg aws.Config, name, arn string) Service {
	s := Service{name: name, cfg: cfg, url: aws.ToString(cfg.BaseEndpoint), http: cfg.HTTPClient}
	if s.url == "" {
		suffix := "amazonaws.com"
		if strings.HasPrefix(arn, "arn:aws-cn:") || strings.HasPrefix(cfg.Region, "cn-") {
			suffix = "amazonaws.com.cn"
		}
		s.url = "https://" + name + "." + cfg.Region + "." + suffix
	}
	if s.http == nil {
		s.http = awshttp.NewBuildableClient()
	}
	return s
}

// A call is tried as often as the SDK would, so only calls that may be repeated belong here.
const (
	attempts   = 3
	firstPause = 50 * time.Millisecond
	mostAnswer = 64 << 10
)

// Call makes the call "<Service>.<Operation>" and reads its answer. An error names what AWS answered.
func (s Service) Call(ctx context.Context, target string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	for attempt := range attempts {
		if attempt > 0 {
			pause := firstPause << attempt
			select {
			case <-time.After(pause/2 + rand.N(pause/2)): //nolint:gosec // no secret
			case <-ctx.Done():
				return errors.Join(err, ctx.Err())
			}
		}
		var again bool
		if again, err = s.try(ctx, target, body, out); err == nil || !again {
			return err
		}
	}
	return err
}

// try makes one attempt; again says that another one may do better.
func (s Service) try(ctx context.Context, target string, body []byte, out any) (again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/", bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", target)
	who, err := s.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return false, err
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, who, req, hex.EncodeToString(sum[:]), s.name, s.cfg.Region, time.Now()); err != nil {
		return false, err
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return true, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	if err != nil {
		return true, err
	}
	if resp.StatusCode == http.StatusOK {
		return true, json.Unmarshal(text, out)
	}
	var refused struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal(text, &refused) // a proxy's page says nothing more than its status
	return resp.StatusCode >= 500 || strings.Contains(refused.Type, "Throttling"),
		fmt.Errorf("%s answered %d %s: %s", s.name, resp.StatusCode, refused.Type, refused.Message)
}

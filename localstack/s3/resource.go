package s3

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Resources makes the CloudFormation types of S3.
func (s *Service) Resources() map[string]stack.Make {
	return map[string]stack.Make{
		"AWS::S3::Bucket":       s.makeBucketResource,
		"AWS::S3::BucketPolicy": s.makeBucketPolicy,
	}
}

// bucketProperties is AWS::S3::Bucket as CDK writes it.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-s3-bucket.html
type bucketProperties struct {
	BucketName              string
	ObjectLockEnabled       flag
	ObjectLockConfiguration *struct {
		ObjectLockEnabled string
		Rule              *struct {
			DefaultRetention struct {
				Mode        string
				Days, Years number
			}
		}
	}
	VersioningConfiguration *struct{ Status string }
	BucketEncryption        *struct {
		ServerSideEncryptionConfiguration []struct {
			BucketKeyEnabled              flag
			ServerSideEncryptionByDefault struct{ SSEAlgorithm, KMSMasterKeyID string }
			BlockedEncryptionTypes        json.RawMessage
		}
	}
	// Known, and without effect here: nobody reaches the local stack from outside, nothing moves between storage
	// classes, and access logs and notifications of the bucket have no reader.
	PublicAccessBlockConfiguration, LifecycleConfiguration, LoggingConfiguration, OwnershipControls, Tags, AccessControl,
	IntelligentTieringConfigurations, InventoryConfigurations, MetricsConfigurations json.RawMessage
}

// flag and number accept the strings that templates may hold in place of booleans and numbers.
type flag bool

func (f *flag) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseBool(strings.Trim(string(b), `"`))
	*f = flag(v)
	return err
}

type number int

func (n *number) UnmarshalJSON(b []byte) error {
	v, err := strconv.Atoi(strings.Trim(string(b), `"`))
	*n = number(v)
	return err
}

func properties(r stack.Resource, into any) error {
	if len(r.Properties) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(r.Properties))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("%s (%s): %w", r.LogicalID, r.Type, err)
	}
	return nil
}

func (s *Service) makeBucketResource(_ context.Context, r stack.Resource) (stack.Made, error) {
	var p bucketProperties
	if err := properties(r, &p); err != nil {
		return stack.Made{}, err
	}
	if p.BucketName == "" {
		p.BucketName = fmt.Sprintf("local-%s-%s", strings.ToLower(r.LogicalID), newID()[:12])
	}
	lock := bool(p.ObjectLockEnabled)
	if c := p.ObjectLockConfiguration; c != nil {
		if c.ObjectLockEnabled != "Enabled" {
			return stack.Made{}, fmt.Errorf("%s: ObjectLockConfiguration.ObjectLockEnabled is %q, must be Enabled", r.LogicalID, c.ObjectLockEnabled)
		}
		lock = true
	}
	versioned := lock
	if c := p.VersioningConfiguration; c != nil {
		if c.Status != "Enabled" {
			return stack.Made{}, fmt.Errorf("%s: VersioningConfiguration.Status %q is not in the local stack, only Enabled", r.LogicalID, c.Status)
		}
		versioned = true
	}
	rule, err := p.rule(r.LogicalID)
	if err != nil {
		return stack.Made{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.buckets[p.BucketName]; ok {
		return stack.Made{}, fmt.Errorf("%s: bucket %s already exists", r.LogicalID, p.BucketName)
	}
	b, err := s.makeBucket(p.BucketName, lock)
	if err != nil {
		return stack.Made{}, fmt.Errorf("%s: %w", r.LogicalID, err)
	}
	b.versioned, b.rule = versioned, rule
	if e := p.BucketEncryption; e != nil && len(e.ServerSideEncryptionConfiguration) > 0 {
		c := e.ServerSideEncryptionConfiguration[0]
		b.sse = encryption{algorithm: c.ServerSideEncryptionByDefault.SSEAlgorithm, key: c.ServerSideEncryptionByDefault.KMSMasterKeyID}
		if c.BucketKeyEnabled {
			b.sse.bucketKey = "true"
		}
	}
	return stack.Made{Ref: b.name, Att: map[string]string{
		"Arn":                "arn:aws:s3:::" + b.name,
		"DomainName":         b.name + ".s3.amazonaws.com",
		"RegionalDomainName": b.name + ".s3." + stack.Region + ".amazonaws.com",
	}}, nil
}

func (p *bucketProperties) rule(id string) (*defaultRetention, error) {
	if p.ObjectLockConfiguration == nil || p.ObjectLockConfiguration.Rule == nil {
		return nil, nil
	}
	d := p.ObjectLockConfiguration.Rule.DefaultRetention
	rule := &defaultRetention{Mode: d.Mode, Days: int(d.Days), Years: int(d.Years)}
	if rule.Mode != compliance && rule.Mode != governance || (rule.Days > 0) == (rule.Years > 0) {
		return nil, fmt.Errorf("%s: DefaultRetention needs a Mode (COMPLIANCE or GOVERNANCE) and either Days or Years, has %+v", id, *rule)
	}
	return rule, nil
}

// makeBucketPolicy keeps the policy as data: whoever decides about access reads it with Policy.
func (s *Service) makeBucketPolicy(_ context.Context, r stack.Resource) (stack.Made, error) {
	var p struct {
		Bucket         string
		PolicyDocument json.RawMessage
	}
	if err := properties(r, &p); err != nil {
		return stack.Made{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(p.Bucket)
	if err != nil {
		return stack.Made{}, fmt.Errorf("%s: bucket %q: %w", r.LogicalID, p.Bucket, err)
	}
	b.policy = p.PolicyDocument
	return stack.Made{Ref: b.name}, nil
}

package s3

import (
	"encoding/xml"
	"net/http"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Object Lock: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
const (
	compliance = "COMPLIANCE"
	governance = "GOVERNANCE"
)

// retention keeps one version until a date; the zero value keeps nothing.
type retention struct {
	mode  string
	until time.Time
}

func (r retention) active(now time.Time) bool { return r.mode != "" && now.Before(r.until) }

// requestedRetention reads the lock headers of a PutObject.
func requestedRetention(h http.Header, now time.Time) (retention, error) {
	mode, date := h.Get("x-amz-object-lock-mode"), h.Get("x-amz-object-lock-retain-until-date")
	if mode == "" && date == "" {
		return retention{}, nil
	}
	if mode == "" || date == "" {
		return retention{}, invalid("x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied")
	}
	return newRetention(mode, date, now)
}

func newRetention(mode, date string, now time.Time) (retention, error) {
	if mode != compliance && mode != governance {
		return retention{}, invalid("Unknown wormMode directive.")
	}
	until, err := time.Parse(time.RFC3339Nano, date)
	if err != nil {
		return retention{}, invalid("The retain until date must be provided in ISO 8601 format")
	}
	if !until.After(now) {
		return retention{}, invalid("The retain until date must be in the future!")
	}
	return retention{mode, until.UTC()}, nil
}

func requestedHold(status string) (bool, error) {
	switch status {
	case "", "OFF":
		return false, nil
	case "ON":
		return true, nil
	}
	return false, invalid("Legal Hold must be either of 'ON' or 'OFF'")
}

func invalid(message string) error { return &stack.Error{Code: "InvalidArgument", Message: message} }

// protect applies the bucket's default where the upload brought no retention of its own, and refuses a retained upload
// that nobody vouched for.
func (s *Service) protect(b *bucket, v *version, vouched bool) error {
	if !b.locked {
		if v.retention.mode != "" || v.hold {
			return &stack.Error{Code: "InvalidRequest", Message: "Bucket is missing Object Lock Configuration"}
		}
		return nil
	}
	if v.retention.mode == "" && b.rule != nil {
		v.retention = retention{b.rule.Mode, b.rule.until(v.modified)}
	}
	if (v.retention.mode != "" || v.hold) && !vouched {
		return &stack.Error{Code: "InvalidRequest", Message: "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters"}
	}
	return nil
}

// guard says whether a version may be deleted now.
func (v *version) guard(now time.Time, bypass bool) error {
	if v.hold || v.retention.active(now) && (v.retention.mode == compliance || !bypass) {
		return protected()
	}
	return nil
}

func protected() error { return denied("Access Denied because object protected by object lock.") }

// replace says whether a version's retention may become next now. Retention in force may always be extended in its own
// mode; nobody, root included, may shorten, remove or weaken COMPLIANCE.
func (r retention) replace(next retention, now time.Time, bypass bool) error {
	if !r.active(now) {
		return nil
	}
	extends := next.mode == r.mode && !next.until.Before(r.until)
	if extends || r.mode == governance && bypass {
		return nil
	}
	return protected()
}

func bypasses(h http.Header) bool { return h.Get("x-amz-bypass-governance-retention") == "true" }

// lockable finds the version that a lock operation means; s.mu is held.
func (s *Service) lockable(r *request) (*version, error) {
	b, err := s.bucket(r.bucket)
	if err != nil {
		return nil, err
	}
	if !b.locked {
		return nil, &stack.Error{Code: "InvalidRequest", Message: "Bucket is missing Object Lock Configuration"}
	}
	return s.find(r)
}

// vouchedBody reads a request body that must come with a digest, as all operations that set a lock require.
func vouchedBody(r *request, into any) error {
	p, err := read(r.call)
	if err != nil {
		return err
	}
	if !p.vouched {
		return &stack.Error{Code: "InvalidRequest", Message: "Missing required header for this request: Content-MD5 OR x-amz-checksum-*"}
	}
	if err := xml.Unmarshal(p.body, into); err != nil {
		return malformed()
	}
	return nil
}

type retentionXML struct {
	XMLName         xml.Name `xml:"Retention"`
	Xmlns           string   `xml:"xmlns,attr,omitempty"`
	Mode            string   `xml:",omitempty"`
	RetainUntilDate string   `xml:",omitempty"`
}

func (s *Service) putObjectRetention(r *request) (stack.Reply, error) {
	var in retentionXML
	if err := vouchedBody(r, &in); err != nil {
		return stack.Reply{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.lockable(r)
	if err != nil {
		return stack.Reply{}, err
	}
	now := s.clock.Now()
	var next retention // an empty document takes retention away
	if in.Mode != "" || in.RetainUntilDate != "" {
		if next, err = newRetention(in.Mode, in.RetainUntilDate, now); err != nil {
			return stack.Reply{}, err
		}
	}
	if err := v.retention.replace(next, now, bypasses(r.header)); err != nil {
		return stack.Reply{}, err
	}
	v.retention = next
	return stack.Reply{Status: http.StatusOK}, nil
}

func (s *Service) getObjectRetention(r *request) (stack.Reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.lockable(r)
	if err != nil {
		return stack.Reply{}, err
	}
	if v.retention.mode == "" {
		return stack.Reply{}, noLock()
	}
	return xmlReply(retentionXML{Xmlns: namespace, Mode: v.retention.mode, RetainUntilDate: v.retention.until.Format(iso)})
}

func noLock() error {
	return &stack.Error{Code: "NoSuchObjectLockConfiguration", Status: http.StatusNotFound, Message: "The specified object does not have a ObjectLock configuration"}
}

type holdXML struct {
	XMLName xml.Name `xml:"LegalHold"`
	Xmlns   string   `xml:"xmlns,attr,omitempty"`
	Status  string
}

func (s *Service) putObjectLegalHold(r *request) (stack.Reply, error) {
	var in holdXML
	if err := vouchedBody(r, &in); err != nil {
		return stack.Reply{}, err
	}
	on, err := requestedHold(in.Status)
	if err != nil || in.Status == "" {
		return stack.Reply{}, malformed()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.lockable(r)
	if err != nil {
		return stack.Reply{}, err
	}
	v.hold = on
	return stack.Reply{Status: http.StatusOK}, nil
}

func (s *Service) getObjectLegalHold(r *request) (stack.Reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.lockable(r)
	if err != nil {
		return stack.Reply{}, err
	}
	status := "OFF"
	if v.hold {
		status = "ON"
	}
	return xmlReply(holdXML{Xmlns: namespace, Status: status})
}

func (s *Service) getObjectLockConfiguration(r *request) (stack.Reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(r.bucket)
	if err != nil {
		return stack.Reply{}, err
	}
	if !b.locked {
		return stack.Reply{}, &stack.Error{Code: "ObjectLockConfigurationNotFoundError", Status: http.StatusNotFound, Message: "Object Lock configuration does not exist for this bucket", Fields: map[string]any{"BucketName": b.name}}
	}
	type rule struct {
		Mode  string `xml:"DefaultRetention>Mode"`
		Days  int    `xml:"DefaultRetention>Days,omitempty"`
		Years int    `xml:"DefaultRetention>Years,omitempty"`
	}
	out := struct {
		XMLName           xml.Name `xml:"ObjectLockConfiguration"`
		Xmlns             string   `xml:"xmlns,attr"`
		ObjectLockEnabled string
		Rule              *rule `xml:",omitempty"`
	}{Xmlns: namespace, ObjectLockEnabled: "Enabled"}
	if b.rule != nil {
		out.Rule = &rule{b.rule.Mode, b.rule.Days, b.rule.Years}
	}
	return xmlReply(out)
}

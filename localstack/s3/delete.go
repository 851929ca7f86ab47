package s3

import (
	"encoding/xml"
	"errors"
	"net/http"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// deleted tells what a delete did.
type deleted struct {
	marker bool   // a delete marker was made, or the version that went away was one
	id     string // of the marker made or the version removed
}

// delete without a version id puts a delete marker on top, on a locked object too: it hides versions and destroys none.
// With a version id it destroys that version, unless Object Lock keeps it; a version that is not there is no error.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html and
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html#object-lock-managing-delete-markers
func (s *Service) delete(b *bucket, key, id string, bypass bool) (deleted, error) {
	if id == "" && b.versioned {
		v := &version{key: key, id: s.ids(), marker: true, modified: s.clock.Now()}
		b.add(v)
		b.deletions[key]++
		return deleted{true, v.id}, nil
	}
	if id == "" {
		delete(b.keys, key)
		b.deletions[key]++
		return deleted{}, nil
	}
	v := b.version(key, id)
	if v == nil {
		return deleted{id: id}, nil
	}
	if err := v.guard(s.clock.Now(), bypass); err != nil {
		return deleted{}, err
	}
	b.remove(v)
	b.deletions[key]++
	return deleted{v.marker, id}, nil
}

func (s *Service) deleteObject(r *request) (stack.Reply, error) {
	if r.header.Get("If-Match") != "" {
		return stack.Reply{}, notImplemented("the local stack has no conditional deletes")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(r.bucket)
	if err != nil {
		return stack.Reply{}, err
	}
	done, err := s.delete(b, r.key, r.versionID(), bypasses(r.header))
	if err != nil {
		return stack.Reply{}, err
	}
	h := http.Header{}
	if done.id != "" && done.id != "null" {
		h.Set("x-amz-version-id", done.id)
	}
	if done.marker {
		h.Set("x-amz-delete-marker", "true")
	}
	return stack.Reply{Status: http.StatusNoContent, Header: h}, nil
}

type deletedXML struct {
	Key                   string
	VersionID             string `xml:"VersionId,omitempty"`
	DeleteMarker          bool   `xml:",omitempty"`
	DeleteMarkerVersionID string `xml:"DeleteMarkerVersionId,omitempty"`
}

type deleteErrorXML struct {
	Key           string
	VersionID     string `xml:"VersionId,omitempty"`
	Code, Message string
}

func (s *Service) deleteObjects(r *request) (stack.Reply, error) {
	var in struct {
		XMLName xml.Name `xml:"Delete"`
		Quiet   bool
		Object  []struct {
			Key       string
			VersionID string `xml:"VersionId"`
		}
	}
	if err := vouchedBody(r, &in); err != nil {
		return stack.Reply{}, err
	}
	if len(in.Object) == 0 || len(in.Object) > 1000 {
		return stack.Reply{}, malformed()
	}
	out := struct {
		XMLName xml.Name `xml:"DeleteResult"`
		Xmlns   string   `xml:"xmlns,attr"`
		Deleted []deletedXML
		Error   []deleteErrorXML
	}{Xmlns: namespace}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(r.bucket)
	if err != nil {
		return stack.Reply{}, err
	}
	for _, o := range in.Object {
		done, err := s.delete(b, o.Key, o.VersionID, bypasses(r.header))
		var refused *stack.Error
		if errors.As(err, &refused) {
			out.Error = append(out.Error, deleteErrorXML{o.Key, o.VersionID, refused.Code, refused.Message})
			continue
		}
		if in.Quiet {
			continue
		}
		d := deletedXML{Key: o.Key, VersionID: o.VersionID, DeleteMarker: done.marker}
		if done.marker {
			d.DeleteMarkerVersionID = done.id
		}
		out.Deleted = append(out.Deleted, d)
	}
	return xmlReply(out)
}

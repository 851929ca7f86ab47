package s3

import (
	"errors"
	"hash/crc64"
	"net/http"
	"testing"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// A delete that succeeds while a conditional write is under way makes that write a conflict, not a failed condition.
func TestADeleteDuringAConditionalWriteConflicts(t *testing.T) {
	s := New(stack.NewClock())
	b, err := s.makeBucket("bucket", true)
	if err != nil {
		t.Fatal(err)
	}
	u, err := s.begin("bucket", "k", http.Header{"If-None-Match": {"*"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.delete(b, "k", "", false); err != nil {
		t.Fatal(err)
	}
	var refused *stack.Error
	if err := s.commit(u, &version{key: "k"}, true); !errors.As(err, &refused) || refused.Code != "ConditionalRequestConflict" || refused.Status != http.StatusConflict {
		t.Fatalf("got %v, want ConditionalRequestConflict", err)
	}
	if b.live("k") != nil {
		t.Fatal("the refused write took effect")
	}
}

// The check value of CRC-64/NVME for "123456789".
func TestCRC64NVME(t *testing.T) {
	h := newHash("crc64nvme").(hash64)
	_, _ = h.Write([]byte("123456789"))
	if h.Sum64() != 0xae8b14860a799888 {
		t.Fatalf("%x", h.Sum64())
	}
}

type hash64 interface {
	Write([]byte) (int, error)
	Sum64() uint64
}

var _ hash64 = crc64.New(crc64.MakeTable(crc64.ISO))

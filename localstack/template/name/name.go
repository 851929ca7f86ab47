// Package name makes the names that AWS makes up itself: request and message ids, and the physical names of resources
// whose template gives none.
package name

import (
	"crypto/rand"
	"fmt"
)

// UUID is a random (version 4) UUID, such as AWS uses for events, messages and requests.
func UUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand.Read aborts the program instead
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Physical is the name of a resource whose template names none, at most max characters long. CloudFormation appends
// random characters; the local stack keeps the logical id alone, so that a second deployment finds the resource again.
// Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-name.html
func Physical(logicalID string, max int) string {
	if len(logicalID) > max {
		return logicalID[:max]
	}
	return logicalID
}

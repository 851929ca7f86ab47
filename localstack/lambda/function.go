package lambda

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// settings are what a function's processes are started with. They do not change: an update makes new ones.
type settings struct {
	Name        string
	Folder      string // unpacked code, with `bootstrap` in it
	Description string
	Handler     string
	Runtime     string
	Role        string
	Timeout     int // seconds
	MemorySize  int // MB
	Environment map[string]string
	Logging     logging
	DeadLetter  string // ARN of a queue, or ""
	KMSKey      string
	Tracing     string
	Arch        []string
	Modified    time.Time
}

type logging struct {
	Group       string
	JSON        bool
	SystemLevel string // DEBUG, INFO or WARN; only in JSON format
	AppLevel    string
}

// function is one function and its pool of processes. Guarded by Service.mu.
type function struct {
	set      *settings
	reserved int // reserved concurrency, or -1 for none
	running  int // invocations under way
	idle     []*sandbox
	async    asyncConfig
	allowed  []Permission
	url      *functionURL      // nil if it has none
	versions int               // published versions are 1..versions
	aliases  map[string]string // alias -> version
}

// accountConcurrency is the default quota of concurrent executions of an account:
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const accountConcurrency = 1000

// arn is the unqualified ARN of the function of that name.
func arn(name string) string {
	return fmt.Sprintf("arn:aws:lambda:%s:%s:function:%s", stack.Region, stack.Account, name)
}

// A function is named by its name, its full ARN or account:function:name, each with or without a qualifier:
// https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
var namePattern = regexp.MustCompile(`^(?:arn:aws:lambda:([a-z0-9-]+):)?(?:(\d{12}):)?(?:function:)?([a-zA-Z0-9_-]{1,140})(?::(\$LATEST|[a-zA-Z0-9_-]+))?$`)

// splitName takes a name, ARN or partial ARN apart; the qualifier is "" if there is none.
func splitName(ref string) (name, qualifier string, err error) {
	m := namePattern.FindStringSubmatch(ref)
	if m == nil {
		return "", "", &stack.Error{Code: "ValidationException", Message: fmt.Sprintf("1 validation error detected: Value %q at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern for function names and ARNs", ref)}
	}
	if (m[1] != "" && m[1] != stack.Region) || (m[2] != "" && m[2] != stack.Account) {
		return "", "", notFound(ref)
	}
	return m[3], m[4], nil
}

func notFound(ref string) error {
	if !strings.HasPrefix(ref, "arn:") {
		ref = arn(ref)
	}
	return &stack.Error{Code: "ResourceNotFoundException", Status: http.StatusNotFound, Message: "Function not found: " + ref}
}

// find looks a function up. The version is what ran, "$LATEST" or a number. Service.mu is held.
func (s *Service) find(ref, qualifier string) (f *function, version string, err error) {
	name, q, err := splitName(ref)
	if err != nil {
		return nil, "", err
	}
	if qualifier == "" {
		qualifier = q
	}
	f, ok := s.functions[name]
	if !ok {
		return nil, "", notFound(arn(name))
	}
	switch {
	case qualifier == "" || qualifier == "$LATEST":
		return f, "$LATEST", nil
	case f.aliases[qualifier] != "":
		return f, f.aliases[qualifier], nil
	}
	var n int
	if _, err := fmt.Sscanf(qualifier, "%d", &n); err == nil && n >= 1 && n <= f.versions {
		return f, qualifier, nil
	}
	return nil, "", notFound(arn(name) + ":" + qualifier)
}

// roleName is the last part of a role's ARN, without its path.
func roleName(roleARN string) string { return roleARN[strings.LastIndex(roleARN, "/")+1:] }

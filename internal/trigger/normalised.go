package trigger

import (
	"encoding/json"
	"regexp"
	"strings"
	"sync"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// WebhookSource is the source of what the webhook receiver puts on the bus: signed by its sender, checked, and reduced to
// one of the details of this file. They are small, they have bounds, and none has room for a secret value.
const WebhookSource = "mayfly.webhook"

// Detail-types of normalised events.
const (
	TypeGitHubPush       = "GitHub push"
	TypeGitHubDeployment = "GitHub deployment status"
	TypeSecretScanning   = "GitHub secret scanning"
	TypePagerDuty        = "PagerDuty incident"
	TypeSIEMAlert        = "SIEM alert"
	TypeProviderChange   = "Provider change"
)

// Normalised is the detail of an event from WebhookSource.
type Normalised interface {
	DetailType() string
	Resolution() (Resolution, error) // InputMalformed if something is missing
}

// Named says who or what an event concerns, in the words of contracts. At most MaxNamed names in all.
type Named struct {
	Secrets    []string `json:"secrets,omitempty"`     // <environment>/<name>
	Services   []string `json:"services,omitempty"`    // <environment>/<service>: every secret that it uses
	Roles      []string `json:"roles,omitempty"`       // IAM role names or ARNs
	Users      []string `json:"users,omitempty"`       // IAM user names or ARNs
	AccessKeys []string `json:"access_keys,omitempty"` // ids of access keys, AKIA…
	Logins     []string `json:"logins,omitempty"`      // <database user>@<host, or RDS identifier>
}

// MaxNamed is how many names one event may bring. Whoever has more to say sends more events.
const MaxNamed = 100

// Compiled when it is first needed: counted repeats are unrolled, and every function that only starts would pay for it.
var serviceID = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9-]{1,64}/[a-z0-9-]{1,64}$`)
})

func (n Named) keys() ([]string, error) {
	if total := len(n.Secrets) + len(n.Services) + len(n.Roles) + len(n.Users) + len(n.AccessKeys) + len(n.Logins); total > MaxNamed {
		return nil, fault.New(fault.InputMalformed, "the event names %d secrets, services and principals; at most %d fit in one, send several", total, MaxNamed)
	}
	var keys []string
	for _, secret := range n.Secrets {
		if !secretID.MatchString(secret) || len(secret) > 128 {
			return nil, fault.New(fault.InputMalformed, "the event names a secret that is no <environment>/<name>")
		}
		keys = append(keys, KeySecret+secret)
	}
	for _, service := range n.Services {
		if !serviceID().MatchString(service) {
			return nil, fault.New(fault.InputMalformed, "the event names a service that is no <environment>/<service>")
		}
		keys = append(keys, "service:"+service)
	}
	for kind, names := range map[string][]string{"role": n.Roles, "user": n.Users} {
		for _, name := range names {
			if strings.Contains(name, ":") {
				keys = append(keys, principalKeys(name)...)
				continue
			}
			keys = append(keys, key(kind, lastOf(name, "/"))...)
		}
	}
	for _, id := range n.AccessKeys {
		keys = append(keys, accessKeyKeys(id)...)
	}
	for _, login := range n.Logins {
		if user, host, ok := strings.Cut(login, "@"); ok && user != "" && host != "" {
			keys = append(keys, key("dbuser", user+"@"+contract.Server(host))...)
		}
	}
	return keys, nil
}

// affecting makes the resolution of an event that names what it concerns.
func (n Named) affecting(t Trigger) (Resolution, error) {
	keys, err := n.keys()
	switch {
	case err != nil:
		return Resolution{}, err
	case len(keys) == 0:
		return ignore(t, "the event names no secret, no service with its environment, and no role, user, access key or login"), nil
	default:
		return found(t, keys...)
	}
}

// read makes a reader of one kind of normalised event. They are of our own making: an unknown member is a mistake, and may
// be a token that should not be there.
func read[T Normalised]() func(envelope) (Resolution, error) {
	return func(e envelope) (Resolution, error) {
		var n T
		if err := strict(e.Detail, &n, "the detail of "+n.DetailType()+" has other members than those of package trigger"); err != nil {
			return Resolution{}, err
		}
		return n.Resolution()
	}
}

// outside reads what somebody else's webhook sent. The text of an error never repeats it.
func outside(body []byte, into any, what string) error {
	if len(body) > MaxEvent {
		return fault.New(fault.InputMalformed, "%s has %d bytes; more than %d are not read", what, len(body), MaxEvent)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fault.New(fault.InputMalformed, "%s is not the JSON that its sender documents", what)
	}
	return nil
}

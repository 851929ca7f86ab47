package policy_test

import (
	"testing"

	"github.com/mayfly-secrets/mayfly/localstack/iam/policy"
)

// Principal elements.
const (
	everybody    = `"*"`
	theAccount   = `{"AWS":"arn:aws:iam::111122223333:root"}`
	theNumber    = `{"AWS":"111122223333"}`
	theRole      = `{"AWS":"arn:aws:iam::111122223333:role/services/billing"}`
	theSession   = `{"AWS":"arn:aws:sts::111122223333:assumed-role/billing/run-1"}`
	otherSession = `{"AWS":"arn:aws:sts::111122223333:assumed-role/billing/run-2"}`
	theRoleID    = `{"AWS":"AROAEXAMPLEEXAMPLE01"}`
	otherRole    = `{"AWS":"arn:aws:iam::111122223333:role/analytics"}`
	theUser      = `{"AWS":"arn:aws:iam::111122223333:user/carlos"}`
	theService   = `{"Service":"events.amazonaws.com"}`
)

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
func TestWhichPolicyDecides(t *testing.T) {
	run(t, map[string]scene{
		"nothing says anything":                         {want: implicit},
		"identity allows":                               {want: allow, identity: mayRead},
		"identity allows everything":                    {want: allow, identity: mayAll},
		"identity allows something else":                {want: implicit, identity: mayList},
		"identity denies":                               {want: deny, identity: mayNotRead},
		"identity allows and denies":                    {want: deny, identity: mayRead + "," + mayNotRead},
		"the order of statements does not count":        {want: deny, identity: mayNotRead + "," + mayAll},
		"resource denies what identity allows":          {want: deny, identity: mayAll, resource: to("Deny", everybody)},
		"identity denies what resource allows":          {want: deny, identity: mayNotRead, resource: to("Allow", theSession)},
		"resource denies somebody else":                 {want: allow, identity: mayRead, resource: to("Deny", otherRole)},
		"resource allows somebody else":                 {want: implicit, resource: to("Allow", otherRole)},
		"resource allows somebody else, identity too":   {want: allow, identity: mayRead, resource: to("Allow", otherRole)},
		"resource alone allows the role":                {want: allow, resource: to("Allow", theRole)},
		"resource alone allows the session":             {want: allow, resource: to("Allow", theSession)},
		"resource allows another session of the role":   {want: implicit, resource: to("Allow", otherSession)},
		"resource alone allows everybody":               {want: allow, resource: to("Allow", everybody)},
		"resource alone allows everybody of AWS":        {want: allow, resource: to("Allow", `{"AWS":"*"}`)},
		"resource hands over to the account":            {want: implicit, resource: to("Allow", theAccount)},
		"resource hands over, identity allows":          {want: allow, identity: mayRead, resource: to("Allow", theAccount)},
		"resource hands over by number":                 {want: allow, identity: mayRead, resource: to("Allow", theNumber)},
		"resource allows by the role's id":              {want: allow, resource: to("Allow", theRoleID)},
		"resource denies the whole account":             {want: deny, identity: mayAll, resource: to("Deny", theAccount)},
		"resource denies the account by number":         {want: deny, identity: mayAll, resource: to("Deny", theNumber)},
		"resource denies the role":                      {want: deny, identity: mayAll, resource: to("Deny", theRole)},
		"resource denies the session":                   {want: deny, identity: mayAll, resource: to("Deny", theSession)},
		"resource denies another session of the role":   {want: allow, identity: mayAll, resource: to("Deny", otherSession)},
		"one of several principals is meant":            {want: allow, resource: to("Allow", `{"AWS":["arn:aws:iam::111122223333:role/a","arn:aws:iam::111122223333:role/services/billing"]}`)},
		"a role without its path is another role":       {want: implicit, resource: to("Allow", `{"AWS":"arn:aws:iam::111122223333:role/billing"}`)},
		"a service is no role":                          {want: implicit, resource: to("Allow", theService)},
		"a federated principal is no role":              {want: implicit, resource: to("Allow", `{"Federated":"cognito-identity.amazonaws.com"}`)},
		"a canonical user is no role":                   {want: implicit, resource: to("Allow", `{"CanonicalUser":"79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"}`)},
		"a user is allowed by the resource":             {want: allow, caller: carlos(), resource: to("Allow", theUser)},
		"a user's account is not the user":              {want: implicit, caller: carlos(), resource: to("Allow", theAccount)},
		"a user by id":                                  {want: allow, caller: carlos(), resource: to("Allow", `{"AWS":"AIDAEXAMPLEEXAMPLE02"}`)},
		"a user is not a role":                          {want: implicit, caller: carlos(), resource: to("Allow", theRole)},
		"root may everything":                           {want: allow, caller: root()},
		"root is stopped by a resource":                 {want: deny, caller: root(), resource: to("Deny", theAccount)},
		"root is stopped with everybody":                {want: deny, caller: root(), resource: to("Deny", everybody)},
		"root is not stopped by another's deny":         {want: allow, caller: root(), resource: to("Deny", theRole)},
		"root has no identity policies":                 {want: allow, caller: root(), identity: mayNotRead},
		"a service needs the resource":                  {want: implicit, caller: machine(), identity: mayAll},
		"a service that the resource names":             {want: allow, caller: machine(), resource: to("Allow", theService)},
		"a service that the resource does not name":     {want: implicit, caller: machine(), resource: to("Allow", `{"Service":"sns.amazonaws.com"}`)},
		"a service is not the account":                  {want: implicit, caller: machine(), resource: to("Allow", theAccount)},
		"a service is somebody":                         {want: allow, caller: machine(), resource: to("Allow", everybody)},
		"a service is denied with everybody":            {want: deny, caller: machine(), resource: to("Allow", theService) + "," + to("Deny", everybody)},
		"a service by name is not denied by its policy": {want: allow, caller: machine(), identity: mayNotRead, resource: to("Allow", theService)},
	})
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html and
// https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session
func TestWhatLimitsWhom(t *testing.T) {
	run(t, map[string]scene{
		"boundary allows too":                            {want: allow, identity: mayRead, boundary: mayAll},
		"boundary allows something else":                 {want: implicit, identity: mayRead, boundary: mayList},
		"boundary alone allows nothing":                  {want: implicit, boundary: mayAll},
		"boundary denies":                                {want: deny, identity: mayRead, boundary: mayAll + "," + mayNotRead},
		"session allows too":                             {want: allow, identity: mayRead, session: mayRead},
		"session allows something else":                  {want: implicit, identity: mayRead, session: mayList},
		"session alone allows nothing":                   {want: implicit, session: mayAll},
		"session denies":                                 {want: deny, identity: mayAll, session: mayAll + "," + mayNotRead},
		"identity, boundary and session agree":           {want: allow, identity: mayAll, boundary: mayRead, session: mayRead},
		"boundary agrees, session does not":              {want: implicit, identity: mayAll, boundary: mayRead, session: mayList},
		"boundary limits a grant to the role":            {want: implicit, boundary: mayList, resource: to("Allow", theRole)},
		"session limits a grant to the role":             {want: implicit, session: mayList, resource: to("Allow", theRole)},
		"a grant to the role within boundary":            {want: allow, boundary: mayRead, resource: to("Allow", theRole)},
		"a grant to the role within session":             {want: allow, session: mayRead, resource: to("Allow", theRole)},
		"boundary does not limit a grant to the session": {want: allow, boundary: mayList, resource: to("Allow", theSession)},
		"session does not limit a grant to the session":  {want: allow, session: mayList, resource: to("Allow", theSession)},
		"boundary denies a grant to the session":         {want: deny, boundary: mayNotRead, resource: to("Allow", theSession)},
		"session denies a grant to the session":          {want: deny, session: mayNotRead, resource: to("Allow", theSession)},
		"boundary does not limit a grant to everybody with the role as condition": {want: allow, boundary: mayList,
			resource: `{"Effect":"Allow","Principal":"*","Action":"secretsmanager:*","Resource":"*","Condition":{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/services/billing"}}}`},
		"boundary limits what the account was given":  {want: implicit, identity: mayAll, boundary: mayList, resource: to("Allow", theAccount)},
		"boundary does not limit a grant to the user": {want: allow, caller: carlos(), boundary: mayList, resource: to("Allow", theUser)},
		"boundary limits a user's identity":           {want: implicit, caller: carlos(), identity: mayAll, boundary: mayList},
		"a service has no boundary":                   {want: allow, caller: machine(), boundary: mayNotRead, resource: to("Allow", theService)},
		"root has no boundary":                        {want: allow, caller: root(), boundary: mayList},
		// Both a grant to the role and one to the session: the closer one counts, whatever their order.
		"the closer grant counts":         {want: allow, boundary: mayList, resource: to("Allow", theRole) + "," + to("Allow", theSession)},
		"the closer grant counts (order)": {want: allow, boundary: mayList, resource: to("Allow", theSession) + "," + to("Allow", theRole)},
	})
}

// Key policies: https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
// Trust policies: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
func TestResourcesThatDecideThemselves(t *testing.T) {
	use := func(effect, principal string) string {
		return `{"Effect":"` + effect + `","Principal":` + principal + `,"Action":"kms:*","Resource":"*"}`
	}
	assume := func(effect, principal string) string {
		return `{"Effect":"` + effect + `","Principal":` + principal + `,"Action":"sts:AssumeRole"}`
	}
	const role = "arn:aws:iam::111122223333:role/target"
	mayAssume := `{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"arn:aws:iam::111122223333:role/target"}`
	tables := map[string]scene{
		"a key without policy":                               {want: implicit, must: true, identity: mayAll},
		"a key whose policy names nobody here":               {want: implicit, must: true, identity: mayAll, resource: use("Allow", otherRole)},
		"a key that is handed to the account":                {want: allow, must: true, identity: mayAll, resource: use("Allow", theAccount)},
		"a key handed to the account, identity silent":       {want: implicit, must: true, resource: use("Allow", theAccount)},
		"a key that names the role":                          {want: allow, must: true, resource: use("Allow", theRole)},
		"a key that names the role, boundary silent":         {want: implicit, must: true, boundary: mayList, resource: use("Allow", theRole)},
		"a key that names the session":                       {want: allow, must: true, boundary: mayList, resource: use("Allow", theSession)},
		"a key that denies the role":                         {want: deny, must: true, identity: mayAll, resource: use("Allow", theAccount) + "," + use("Deny", theRole)},
		"a key and root":                                     {want: allow, must: true, caller: root()},
		"a key and a service that it names":                  {want: allow, must: true, caller: machine(), resource: use("Allow", theService)},
		"a key and a service that it does not":               {want: implicit, must: true, caller: machine(), resource: use("Allow", theAccount)},
		"a role that trusts a service only":                  {want: implicit, trust: true, identity: mayAll, resource: assume("Allow", theService)},
		"a role that trusts the role":                        {want: allow, trust: true, resource: assume("Allow", theRole)},
		"a role that trusts the account":                     {want: allow, trust: true, identity: mayAssume, resource: assume("Allow", theAccount)},
		"a role that trusts the account, identity is silent": {want: implicit, trust: true, resource: assume("Allow", theAccount)},
		"a role that trusts everybody":                       {want: allow, trust: true, resource: assume("Allow", everybody)},
		"a role that denies the role":                        {want: deny, trust: true, identity: mayAssume, resource: assume("Allow", theAccount) + "," + assume("Deny", theRole)},
		"a role that the service assumes":                    {want: allow, trust: true, caller: machine(), resource: assume("Allow", theService)},
		"a role that asks for an external id":                {want: implicit, trust: true, resource: `{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"x"}}}`},
		"a role that is given the external id": {want: allow, trust: true, context: map[string]string{"sts:ExternalId": "x"},
			resource: `{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"x"}}}`},
	}
	for name, s := range tables {
		s.action, s.on = "kms:Decrypt", key
		if s.trust {
			s.action, s.on = "sts:AssumeRole", role
		}
		tables[name] = s
	}
	run(t, tables)
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html
func TestAcrossAccounts(t *testing.T) {
	cases := map[string]scene{
		"identity alone":                   {want: implicit, identity: mayAll},
		"resource alone":                   {want: implicit, resource: to("Allow", theRole)},
		"resource names the session alone": {want: implicit, resource: to("Allow", theSession)},
		"both":                             {want: allow, identity: mayRead, resource: to("Allow", theRole)},
		"resource trusts the account":      {want: allow, identity: mayRead, resource: to("Allow", theAccount)},
		"resource trusts everybody":        {want: allow, identity: mayRead, resource: to("Allow", everybody)},
		"resource trusts its own account":  {want: implicit, identity: mayRead, resource: to("Allow", `{"AWS":"444455556666"}`)},
		"boundary limits":                  {want: implicit, identity: mayRead, boundary: mayList, resource: to("Allow", theRole)},
		"resource denies":                  {want: deny, identity: mayRead, resource: to("Allow", everybody) + "," + to("Deny", theAccount)},
		"root of another account":          {want: implicit, caller: root()},
		"root of another account, trusted": {want: allow, caller: root(), resource: to("Allow", theAccount)},
	}
	for name, s := range cases {
		s.owner = stranger
		cases[name] = s
	}
	run(t, cases)
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
func TestNotPrincipal(t *testing.T) {
	except := func(names string) string {
		return `{"Effect":"Deny","NotPrincipal":{"AWS":[` + names + `]},"Action":"*","Resource":"*"}`
	}
	const (
		acc  = `"arn:aws:iam::111122223333:root"`
		role = `"arn:aws:iam::111122223333:role/services/billing"`
		sess = `"arn:aws:sts::111122223333:assumed-role/billing/run-1"`
		user = `"arn:aws:iam::111122223333:user/carlos"`
	)
	run(t, map[string]scene{
		"names account, role and session":   {want: allow, identity: mayAll, resource: except(acc + "," + role + "," + sess)},
		"names the number and the rest":     {want: allow, identity: mayAll, resource: except(`"111122223333",` + role + "," + sess)},
		"forgets the account":               {want: deny, identity: mayAll, resource: except(role + "," + sess)},
		"forgets the role":                  {want: deny, identity: mayAll, resource: except(acc + "," + sess)},
		"forgets the session":               {want: deny, identity: mayAll, resource: except(acc + "," + role)},
		"names somebody else":               {want: deny, identity: mayAll, resource: except(acc + `,"arn:aws:iam::111122223333:role/analytics"`)},
		"always denies who has a boundary":  {want: deny, identity: mayAll, boundary: mayAll, resource: except(acc + "," + role + "," + sess)},
		"names account and user":            {want: allow, caller: carlos(), identity: mayAll, resource: except(acc + "," + user)},
		"forgets the user":                  {want: deny, caller: carlos(), identity: mayAll, resource: except(acc)},
		"spares root":                       {want: allow, caller: root(), resource: except(acc)},
		"does not spare root":               {want: deny, caller: root(), resource: except(role)},
		"spares a service":                  {want: allow, caller: machine(), resource: to("Allow", theService) + `,{"Effect":"Deny","NotPrincipal":{"Service":"events.amazonaws.com"},"Action":"*","Resource":"*"}`},
		"denies a service":                  {want: deny, caller: machine(), resource: to("Allow", theService) + "," + except(acc)},
		"excepting everybody denies nobody": {want: allow, identity: mayAll, resource: `{"Effect":"Deny","NotPrincipal":"*","Action":"*","Resource":"*"}`},
	})
}

func TestMessages(t *testing.T) {
	const who, what = "User: arn:aws:sts::111122223333:assumed-role/billing/run-1 is not authorized to perform: ", "secretsmanager:GetSecretValue on resource: " + secret
	for name, c := range map[string]struct {
		scene
		message     string
		policy, sid string
	}{
		"identity is silent": {scene{}, who + what + " because no identity-based policy allows the secretsmanager:GetSecretValue action", "", ""},
		"identity denies":    {scene{identity: mayNotRead}, who + what + " with an explicit deny in an identity-based policy", "identity", "NoRead"},
		"resource denies":    {scene{identity: mayRead, resource: to("Deny", everybody)}, who + what + " with an explicit deny in a resource-based policy", "resource", "P"},
		"boundary is silent": {scene{identity: mayRead, boundary: mayList}, who + what + " because no permissions boundary allows the secretsmanager:GetSecretValue action", "", ""},
		"boundary denies":    {scene{identity: mayRead, boundary: mayNotRead}, who + what + " with an explicit deny in a permissions boundary", "boundary", "NoRead"},
		"session is silent":  {scene{identity: mayRead, session: mayList}, who + what + " because no session policy allows the secretsmanager:GetSecretValue action", "", ""},
		"session denies":     {scene{identity: mayRead, session: mayNotRead}, who + what + " with an explicit deny in a session policy", "session", "NoRead"},
		"a key is silent":    {scene{identity: mayRead, must: true}, who + what + " because no resource-based policy allows the secretsmanager:GetSecretValue action", "", ""},
		"a role is silent": {scene{action: "sts:AssumeRole", on: "arn:aws:iam::111122223333:role/x", trust: true, identity: mayAll},
			who + "sts:AssumeRole on resource: arn:aws:iam::111122223333:role/x because no role trust policy allows the sts:AssumeRole action", "", ""},
		"a role denies": {scene{action: "sts:AssumeRole", on: "arn:aws:iam::111122223333:role/x", trust: true,
			resource: `{"Sid":"T","Effect":"Deny","Principal":"*","Action":"*"}`},
			who + "sts:AssumeRole on resource: arn:aws:iam::111122223333:role/x with an explicit deny in the role trust policy", "resource", "T"},
	} {
		t.Run(name, func(t *testing.T) {
			d := c.decide(t)
			if d.Message != c.message || d.Policy != c.policy || d.Sid != c.sid {
				t.Errorf("got %+v\nwant %s", d, c.message)
			}
		})
	}
}

func TestAllowedByWhat(t *testing.T) {
	s := scene{identity: mayList + "," + mayRead}
	if d := s.decide(t); d.Policy != "identity" || d.Sid != "Read" || d.Kind != policy.Identity {
		t.Errorf("%+v", d)
	}
	s = scene{identity: mayRead, resource: to("Allow", theSession)}
	if d := s.decide(t); d.Policy != "resource" || d.Sid != "P" || d.Kind != policy.Resource {
		t.Errorf("%+v", d)
	}
}

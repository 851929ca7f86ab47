package contract

// Service is a declared consumer of secrets.
type Service struct {
	Name         string               `json:"name"`
	Environments map[string]Placement `json:"environments"`
}

// Placement is what a service is in one environment.
type Placement struct {
	Role        string      `json:"role"` // ARN of the IAM role that it reads its secrets with
	Identities  Identities  `json:"identities,omitzero"`
	Deployments Deployments `json:"deployments,omitzero"`
	Delivery    Delivery    `json:"delivery"`
}

// Identities are further IAM names by which events know the service. Role names need no mention, and neither does an
// instance profile that has its role's name. None of them grants anything.
type Identities struct {
	Users            []string `json:"users,omitempty"`             // IAM users that it reads as
	Groups           []string `json:"groups,omitempty"`            // IAM groups that those users get their rights from
	Policies         []string `json:"policies,omitempty"`          // managed policies that let it read, by name
	InstanceProfiles []string `json:"instance_profiles,omitempty"` // where the name is not the role's
	AccessKeys       []string `json:"access_keys,omitempty"`       // ids of its users' access keys, AKIA…; an id is no secret
}

// Deployments are the names by which deploy tools know the service.
type Deployments struct {
	CodeDeploy   []string `json:"codedeploy,omitempty"`   // application, or application/deployment group
	CodePipeline []string `json:"codepipeline,omitempty"` // pipeline
	ECS          []string `json:"ecs,omitempty"`          // cluster/service
	GitHub       []string `json:"github,omitempty"`       // owner/repository, or owner/repository@environment as GitHub calls it
}

// Delivery is how the service is made to pick up a new version of a secret.
type Delivery struct {
	Kind      string `json:"kind"`                // "ecs", "lambda", "eks", "ec2" or "external"
	Cluster   string `json:"cluster,omitempty"`   // ecs, eks
	Service   string `json:"service,omitempty"`   // ecs
	Function  string `json:"function,omitempty"`  // lambda: name or ARN
	Namespace string `json:"namespace,omitempty"` // eks
	Workload  string `json:"workload,omitempty"`  // eks: deployment, stateful set or daemon set
	Group     string `json:"group,omitempty"`     // ec2: Auto Scaling group
}

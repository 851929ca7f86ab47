package playground

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

const (
	homeRoles = "arn:aws:iam::" + stack.Account + ":role/"
	// Analytics is the role of a service in prod that no contract declares.
	Analytics = homeRoles + "prod-analytics"
)

// rehome is services with their roles in the account of the local stack: contracts name those of the account they are for.
func rehome(services []contract.Service) []contract.Service {
	moved := make([]contract.Service, len(services))
	for i, s := range services {
		placements := map[string]contract.Placement{}
		for environment, p := range s.Environments {
			if parts := strings.SplitN(p.Role, ":", 6); len(parts) == 6 {
				parts[4] = stack.Account
				p.Role = strings.Join(parts, ":")
			}
			placements[environment] = p
		}
		s.Environments = placements
		moved[i] = s
	}
	return moved
}

// teamRoles makes the roles that teams have before Mayfly comes: those of the declared services, and that of one that is
// declared nowhere. Anybody of the account may assume them, and each may read every secret of its environments: what keeps it
// from doing so is the secret's resource policy. Roles of Mayfly's functions are the template's.
func (p *Playground) teamRoles(ctx context.Context) error {
	environments := map[string][]string{Analytics: {"prod"}}
	for _, s := range p.Bundle.Services {
		for environment, placed := range s.Environments {
			if strings.HasPrefix(placed.Role, homeRoles) && !strings.HasPrefix(placed.Role, homeRoles+"mayfly-") {
				environments[placed.Role] = append(environments[placed.Role], environment)
			}
		}
	}
	for _, role := range slices.Sorted(maps.Keys(environments)) {
		if err := p.MakeTeamRole(ctx, role, environments[role]...); err != nil {
			return err
		}
	}
	return nil
}

// MakeTeamRole makes one such role, of that ARN, for the secrets of these environments.
func (p *Playground) MakeTeamRole(ctx context.Context, role string, environments ...string) error {
	return p.Stack.MakeRole(ctx, teamRole(strings.TrimPrefix(role, homeRoles), environments))
}

// teamRole is the role in the words of CloudFormation.
func teamRole(path string, environments []string) map[string]any {
	slices.Sort(environments)
	var secrets []string
	for _, e := range slices.Compact(environments) {
		secrets = append(secrets, "arn:aws:secretsmanager:"+stack.Region+":"+stack.Account+":secret:"+e+"/*")
	}
	document := func(statement map[string]any) map[string]any {
		statement["Effect"] = "Allow"
		return map[string]any{"Version": "2012-10-17", "Statement": []any{statement}}
	}
	at := strings.LastIndex(path, "/") + 1
	return map[string]any{
		"RoleName": path[at:], "Path": "/" + path[:at],
		"AssumeRolePolicyDocument": document(map[string]any{
			"Principal": map[string]string{"AWS": "arn:aws:iam::" + stack.Account + ":root"}, "Action": "sts:AssumeRole"}),
		"Policies": []any{map[string]any{"PolicyName": "read", "PolicyDocument": document(map[string]any{
			"Action": []string{"secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"}, "Resource": secrets})}},
	}
}

// As assumes a role, as `aws sts assume-role` does.
func (p *Playground) As(ctx context.Context, role string) (aws.Config, error) {
	out, err := sts.NewFromConfig(p.AWS).AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.String("playground")})
	if err != nil {
		return aws.Config{}, err
	}
	as := p.AWS.Copy()
	as.Credentials = credentials.NewStaticCredentialsProvider(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
	return as, nil
}

// Role is the ARN of a service's role in an environment.
func (p *Playground) Role(service, environment string) (string, error) {
	for _, s := range p.Bundle.Services {
		if placed, ok := s.Environments[environment]; ok && s.Name == service {
			return placed.Role, nil
		}
	}
	return "", fmt.Errorf("service %s is not in %s", service, environment)
}

// Consumer is Secrets Manager as the first service that a secret's contract declares calls it, with credentials that do not end
// before it does: those that a container or a function is given are renewed for it.
func (p *Playground) Consumer(secret string) (*secretsmanager.Client, error) {
	c, ok := p.Bundle.Find(secret)
	if !ok || len(c.Services) == 0 {
		return nil, fmt.Errorf("%s is not under contract", secret)
	}
	role, err := p.Role(c.Services[0], c.Environment)
	if err != nil {
		return nil, err
	}
	name := contract.RoleName(role)
	as := stack.Identity{ARN: "arn:aws:sts::" + stack.Account + ":assumed-role/" + name + "/task", Role: name}
	return secretsmanager.NewFromConfig(p.Stack.As(as)), nil
}

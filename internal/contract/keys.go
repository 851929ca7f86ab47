package contract

import (
	"slices"
	"strings"
)

// Keys are the lookup keys by which events find the secret, sorted and without duplicates. An event is turned into the
// same keys, and the registry's index brings them together, so that finding the affected secrets costs what is affected
// and not what exists:
//
//	environment:prod                 everything in an environment
//	service:prod/billing-service     a declared consumer
//	role:prod-billing-service        the IAM role that it reads with (name, no path); and so user:, group:, policy:
//	profile:prod-billing-ec2         instance profile
//	accesskey:AKIA…                  access key id
//	codedeploy:billing               application; or application/deployment group
//	codepipeline:billing-pipeline    pipeline
//	ecs:prod-cluster/billing         cluster/service
//	eks:prod-cluster/shop/billing    cluster/namespace/workload
//	ec2:prod-billing                 Auto Scaling group
//	github:payments/billing          owner/repository that deploys; or owner/repository@environment. In lower case, as
//	                                 GitHub does not tell capitals apart
//	repository:payments/billing      owner/repository whose commits count, in lower case
//	codecommit:billing               CodeCommit repository whose commits count
//	lambda:settle                    function name
//	dbuser:orders_app_a@prod-orders  login and server, for each login that the contract's strategy uses
//	kms:1234abcd-…                   id of the KMS key that encrypts the secret
func Keys(c Contract, services []Service) []string {
	keys := []string{"environment:" + c.Environment}
	repositories := slices.Clone(c.Repositories)
	for _, s := range services {
		p, here := s.Environments[c.Environment]
		if !here || !slices.Contains(c.Services, s.Name) {
			continue
		}
		keys = append(keys, "service:"+c.Environment+"/"+s.Name)
		keys = append(keys, placementKeys(p)...)
		if len(c.Repositories) == 0 {
			repositories = append(repositories, p.Deployments.GitHub...)
		}
	}
	for _, r := range repositories {
		keys = append(keys, repositoryKey(r))
	}
	for _, login := range Logins(c) {
		keys = append(keys, "dbuser:"+login+"@"+Server(c.Target.Host))
	}
	if c.KMSKey != "" {
		keys = append(keys, "kms:"+last(c.KMSKey, "/"))
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// repositoryKey is the key of a repository whose commits count: GitHub's have an owner, CodeCommit's have none.
func repositoryKey(name string) string {
	name, _, _ = strings.Cut(name, "@")
	if strings.Contains(name, "/") {
		return "repository:" + strings.ToLower(name)
	}
	return "codecommit:" + name
}

func placementKeys(p Placement) []string {
	var keys []string
	if name := RoleName(p.Role); name != "" {
		keys = append(keys, "role:"+name)
	}
	for kind, names := range map[string][]string{
		"user": p.Identities.Users, "group": p.Identities.Groups, "policy": p.Identities.Policies,
		"profile": p.Identities.InstanceProfiles, "accesskey": p.Identities.AccessKeys,
		"codedeploy": p.Deployments.CodeDeploy, "codepipeline": p.Deployments.CodePipeline, "ecs": p.Deployments.ECS,
	} {
		for _, name := range names {
			keys = append(keys, kind+":"+name)
		}
	}
	for _, name := range p.Deployments.GitHub {
		keys = append(keys, "github:"+strings.ToLower(name))
	}
	switch d := p.Delivery; d.Kind {
	case "ecs":
		keys = append(keys, "ecs:"+d.Cluster+"/"+d.Service)
	case "lambda":
		keys = append(keys, "lambda:"+last(d.Function, ":"))
	case "eks":
		keys = append(keys, "eks:"+d.Cluster+"/"+d.Namespace+"/"+d.Workload)
	case "ec2":
		keys = append(keys, "ec2:"+d.Group)
	}
	return keys
}

// RoleName is the name of the role in an ARN, without its path: events name roles without one. "" if it is no role.
func RoleName(arn string) string {
	_, path, ok := strings.Cut(arn, ":role/")
	if !ok {
		return ""
	}
	return last(path, "/")
}

// Server is how events name the server at a host: Amazon RDS puts the instance's or cluster's identifier first in its
// endpoint, and findings know only that identifier
// (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_ConnectToInstance.html). Any other host is itself.
func Server(host string) string {
	if strings.HasSuffix(host, ".rds.amazonaws.com") || strings.HasSuffix(host, ".rds.amazonaws.com.cn") {
		identifier, _, _ := strings.Cut(host, ".")
		return identifier
	}
	return host
}

// Logins are the login names at the target that stand for the secret: the owner, and with strategy dual the two that
// take turns. None without a target.
func Logins(c Contract) []string {
	if c.Target == nil {
		return nil
	}
	if c.Strategy == Dual {
		return []string{c.Target.Owner, c.Target.Owner + "_a", c.Target.Owner + "_b"}
	}
	return []string{c.Target.Owner}
}

func last(path, separator string) string { return path[strings.LastIndex(path, separator)+1:] }

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
//	role:prod-billing-service        the IAM role that it reads with (name, no path)
//	codedeploy:billing               application; or application/deployment group
//	codepipeline:billing-pipeline    pipeline
//	ecs:prod-cluster/billing         cluster/service
//	github:payments/billing          owner/repository
//	lambda:settle                    function name
//	dbuser:orders_app_a@prod-orders  login and server, for each login that the contract's strategy uses
func Keys(c Contract, services []Service) []string {
	keys := []string{"environment:" + c.Environment}
	for _, s := range services {
		p, here := s.Environments[c.Environment]
		if !here || !slices.Contains(c.Services, s.Name) {
			continue
		}
		keys = append(keys, "service:"+c.Environment+"/"+s.Name)
		keys = append(keys, placementKeys(p)...)
	}
	for _, r := range c.Repositories {
		keys = append(keys, "github:"+r)
	}
	for _, login := range Logins(c) {
		keys = append(keys, "dbuser:"+login+"@"+Server(c.Target.Host))
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func placementKeys(p Placement) []string {
	var keys []string
	if name := RoleName(p.Role); name != "" {
		keys = append(keys, "role:"+name)
	}
	for kind, names := range map[string][]string{
		"codedeploy": p.Deployments.CodeDeploy, "codepipeline": p.Deployments.CodePipeline,
		"ecs": p.Deployments.ECS, "github": p.Deployments.GitHub,
	} {
		for _, name := range names {
			keys = append(keys, kind+":"+name)
		}
	}
	switch p.Delivery.Kind {
	case "ecs":
		keys = append(keys, "ecs:"+p.Delivery.Cluster+"/"+p.Delivery.Service)
	case "lambda":
		keys = append(keys, "lambda:"+last(p.Delivery.Function, ":"))
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

package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// NewStack is all of Mayfly in one account and Region.
func NewStack(scope constructs.Construct, id string, s Settings) (awscdk.Stack, error) {
	stack := awscdk.NewStack(scope, &id, stackProps(s))
	encryption := NewEncryption(stack, "Encryption")
	registry := NewRegistry(stack, "Registry", encryption.Key, s.DeletionProtection)
	audit := NewAudit(stack, "Audit", encryption.Key, s.RetentionDays)
	authority := NewAuthority(stack, s.Environments)
	functions, err := NewFunctions(stack, "Functions", s.Functions, audit.Log)
	if err != nil {
		return nil, err
	}
	machines, err := NewMachines(stack, "Machines", s.StateMachines, functions, encryption)
	if err != nil {
		return nil, err
	}
	dispatch := NewDispatch(stack, "Dispatch", encryption.Key)
	webhook, err := NewWebhook(stack, "Webhook", s, dispatch, audit)
	if err != nil {
		return nil, err
	}
	dispatch.GrantFleet(machines.Respond)
	dispatch.GrantKeep(functions.ResolveTrigger)
	dispatch.GrantKeep(functions.TraceLineage)
	fingerprints := NewFingerprints(stack, "Fingerprints")
	fingerprints.GrantMake(functions.TestSecret, functions.ProbeTargets, webhook.Function)
	functions.Permit(registry, authority, audit, machines)
	keys := NewKeys(stack, s.Environments, s.Keyed)
	functions.PermitKeys(keys)
	glass := NewBreakGlass(stack, "BreakGlass", authority, keys)
	glass.Tell(functions.PropagateSecret, functions.ApplyContracts, functions.InspectSecrets)
	network := NewNetwork(stack, "Network", s.VPC, s.Ports)
	network.Attach(functions.AtTargets()...)
	network.Connect(authority, audit, registry, fingerprints.Key.KeyArn(), webhook.Bus.EventBusArn())
	deadLetters := NewDeadLetters(stack, "DeadLetters", encryption.Key, s.PagerDutyBus)
	alarms := NewAlarms(stack, "Alarms", encryption.Key, s.AlarmEmail)
	alarms.Watch(functions, machines, deadLetters)
	alarms.WatchInspections(machines)
	webhook.Watch(alarms)
	triggers := NewTriggers(stack, "Triggers", s, machines, functions, deadLetters, alarms)
	triggers.Inspect(machines, functions, dispatch, webhook)
	authority.GrantProbe(triggers.Construct, functions.ProbeAccess, s.ServiceRoles)
	webhook.Answer(machines, triggers)
	glass.Watch(triggers, machines, s.Environments)
	NewContracts(stack, "Contracts", functions.AdmitRotation, functions.ApplyContracts, audit, glass.And(functions.readerRoles()), s.ContractsDigest, s.Commit).
		Node().AddDependency(webhook.Function.Construct, glass.Construct) // whose roles resource policies name
	NewQueries(stack, "Queries", audit.Bucket, s.Environment)
	return stack, nil
}

func stackProps(s Settings) *awscdk.StackProps {
	props := &awscdk.StackProps{
		Description:           jsii.String("Mayfly: secrets that expire by design"),
		TerminationProtection: &s.DeletionProtection,
	}
	if s.Region != "" {
		props.Env = &awscdk.Environment{Region: &s.Region}
	}
	return props
}

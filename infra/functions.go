package infra

import (
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/mayfly-secrets/mayfly/internal/env"
)

// Functions are all functions of Mayfly, each named like the state that calls it.
type Functions struct {
	constructs.Construct
	ResolveTrigger, TraceLineage, AdmitRotation, ContainSecret, CreateSecret, SetSecret, TestSecret, FinishSecret, PropagateSecret,
	ConfirmAdoption, RevokeSecret, RollBack, CloseRun, ApplyContracts,
	ListSecrets, InspectSecrets, ProbeTargets, ProbeAccess *Function
	all []*Function
}

// Timeouts are two or three times the worst that a step waits for: a target's connect timeout, or for ConfirmAdoption
// one round of watching. Memory is little, since a step waits more than it computes; those that derive a SCRAM verifier
// or log in (4,096 rounds of HMAC on the client too) get the double share of CPU that comes with 256 MB. ResolveTrigger may
// have to read and order fifty thousand contracts while an incident waits: that took 100 MB and 0.9 s of a CPU, of which
// 1,024 MB bring more than half.
// Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
const (
	short, long, watching, gathering = 15, 30, 60, 120 // seconds
	small, medium, large             = 128, 256, 1024  // MB
)

// NewFunctions makes every function from its folder below folder. An error names the function that is not built.
func NewFunctions(scope constructs.Construct, id, folder string, log awslogs.LogGroup) (*Functions, error) {
	fs := &Functions{Construct: constructs.NewConstruct(scope, &id)}
	for _, f := range []struct {
		handle **Function
		props  FunctionProps
	}{
		{&fs.ResolveTrigger, FunctionProps{"ResolveTrigger", "Any event in, the secrets that it affects out", large, gathering}},
		{&fs.TraceLineage, FunctionProps{"TraceLineage", "Who else holds a value of what was contained", large, gathering}},
		{&fs.AdmitRotation, FunctionProps{"AdmitRotation", "Decides whether a secret is rotated now, and takes its lease", small, long}},
		{&fs.ContainSecret, FunctionProps{"ContainSecret", "Incident: the old credential stops working now", medium, long}},
		{&fs.CreateSecret, FunctionProps{"CreateSecret", "Stores a new value as AWSPENDING", medium, short}},
		{&fs.SetSecret, FunctionProps{"SetSecret", "Makes the target honour the new value", medium, long}},
		{&fs.TestSecret, FunctionProps{"TestSecret", "Logs in with the new value and does what the contract asks of it", medium, long}},
		{&fs.FinishSecret, FunctionProps{"FinishSecret", "Moves AWSCURRENT: the commit point", small, short}},
		{&fs.PropagateSecret, FunctionProps{"PropagateSecret", "Has each service pick the new version up", small, long}},
		{&fs.ConfirmAdoption, FunctionProps{"ConfirmAdoption", "Looks whether anybody still uses the old credential", medium, watching}},
		{&fs.RevokeSecret, FunctionProps{"RevokeSecret", "The old credential is refused, and a test has seen it", medium, long}},
		{&fs.RollBack, FunctionProps{"RollBack", "Puts the target back as it was, and proves it", medium, long}},
		{&fs.CloseRun, FunctionProps{"CloseRun", "Writes how the run ended and gives the lease back", small, short}},
		{&fs.ApplyContracts, FunctionProps{"ApplyContracts", "Brings the contracts of a deployment into force", small, watching}},
		{&fs.ListSecrets, FunctionProps{"ListSecrets", "Parts what is under contract into batches to be inspected", small, long}},
		{&fs.InspectSecrets, FunctionProps{"InspectSecrets", "Looks at everything of secrets but their values, and puts drift back", small, watching}},
		{&fs.ProbeTargets, FunctionProps{"ProbeTargets", "Logs in with values in use, and with revoked ones", medium, watching}},
		{&fs.ProbeAccess, FunctionProps{"ProbeAccess", "Tries to read secrets as others would", small, watching}},
	} {
		made, err := NewFunction(fs.Construct, folder, log, f.props)
		if err != nil {
			return nil, err
		}
		*f.handle = made
		fs.all = append(fs.all, made)
	}
	return fs, nil
}

// Permit is all that functions may do, to be read as a paragraph: each line is one need.
func (fs *Functions) Permit(registry Registry, authority Authority, audit Audit, machines Machines) {
	for _, f := range fs.all {
		audit.GrantAppend(f)
	}
	registry.GrantFind(fs.ResolveTrigger)
	registry.GrantTrace(fs.TraceLineage)
	registry.GrantLease(fs.AdmitRotation)
	registry.GrantLease(fs.FinishSecret)
	registry.GrantLease(fs.CloseRun)
	registry.GrantAskOwner(fs.CloseRun)
	registry.GrantRecordRun(fs.AdmitRotation)
	registry.GrantRecordRun(fs.CloseRun)
	registry.GrantApply(fs.ApplyContracts)
	registry.GrantList(fs.ListSecrets)
	registry.GrantInspect(fs.InspectSecrets, fs.ProbeTargets, fs.ProbeAccess)
	registry.GrantTrace(fs.ProbeTargets)

	authority.GrantObserve(fs.AdmitRotation, fs.ProbeTargets, fs.ProbeAccess)
	authority.GrantRead(fs.Readers()...)
	fs.tellReaders(fs.PropagateSecret, fs.ApplyContracts, fs.InspectSecrets)
	authority.GrantPropose(fs.CreateSecret)
	authority.GrantMoveLabels(fs.FinishSecret, fs.CloseRun)
	authority.GrantDescribe(fs.FinishSecret, fs.RollBack, fs.ApplyContracts, fs.InspectSecrets)
	authority.GrantTag(fs.CloseRun, fs.ApplyContracts, fs.InspectSecrets)
	authority.GrantDecideAccess(fs.PropagateSecret, fs.ApplyContracts, fs.InspectSecrets)
	authority.GrantAbsolve(fs.CloseRun)
	authority.GrantCreate(fs.ApplyContracts)
	authority.GrantRestore(fs.InspectSecrets)

	machines.GrantDescribeRuns(fs.AdmitRotation)

	authority.ForbidDeciding(fs.Readers()...)
	authority.ForbidReading(fs.but(fs.Readers())...)
}

// but are all functions except some.
func (fs *Functions) but(some []*Function) []*Function {
	return slices.DeleteFunc(slices.Clone(fs.all), func(f *Function) bool { return slices.Contains(some, f) })
}

// PermitKeys is what functions may do with the keys that contracts name.
func (fs *Functions) PermitKeys(keys Keys) {
	keys.GrantRead(fs.Readers()...)
	keys.GrantPropose(fs.CreateSecret)
	keys.GrantEstablish(fs.ApplyContracts, fs.InspectSecrets)
	keys.GrantManageGrants(fs.ApplyContracts, fs.InspectSecrets)
	keys.GrantSeeVersions(fs.InspectSecrets)
}

// Readers are the functions that may read every value under contract. The resource policy of a secret spares their roles.
func (fs *Functions) Readers() []*Function {
	return []*Function{fs.ContainSecret, fs.CreateSecret, fs.SetSecret, fs.TestSecret, fs.ConfirmAdoption, fs.RevokeSecret, fs.RollBack, fs.ProbeTargets}
}

// tellReaders gives functions the roles of the readers, for the policies that they compile.
func (fs *Functions) tellReaders(functions ...*Function) {
	for _, f := range functions {
		f.Set(env.ReaderRoles, fs.readerRoles())
	}
}

// AtTargets are the functions that talk to targets.
func (fs *Functions) AtTargets() []*Function {
	return []*Function{fs.ContainSecret, fs.SetSecret, fs.TestSecret, fs.ConfirmAdoption, fs.RevokeSecret, fs.RollBack, fs.ProbeTargets}
}

// readerRoles are the ARNs of the readers' roles, comma-separated.
func (fs *Functions) readerRoles() *string {
	var roles []*string
	for _, f := range fs.Readers() {
		roles = append(roles, f.role.RoleArn())
	}
	return awscdk.Fn_Join(jsii.String(","), &roles)
}

// Writers are the functions that change secrets, their labels, tags and resource policies. Rules know their calls by their roles.
func (fs *Functions) Writers() []*Function {
	return []*Function{fs.CreateSecret, fs.FinishSecret, fs.PropagateSecret, fs.CloseRun, fs.ApplyContracts, fs.InspectSecrets}
}

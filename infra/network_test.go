package infra_test

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/infra"
)

var ownVPC = map[string]any{"id": "vpc-1", "subnets": []string{"subnet-a", "subnet-b"}, "routeTables": []string{"rtb-1"},
	"targets": []string{"10.1.0.0/16", "sg-databases"}, "s3": "pl-s3", "dynamodb": "pl-dynamodb"}

// attached is a deployment with a VPC, made once.
var attached = sync.OnceValue(func() template { return synthesize(nil, map[string]any{"vpc": ownVPC}) })

// Those that talk to targets, and no others, run in the VPC, in a group that lets nothing out but to targets and endpoints.
func TestFunctionsAtTargetsRunInTheVPC(t *testing.T) {
	made := attached()
	want := []string{"mayfly-confirm-adoption", "mayfly-contain-secret", "mayfly-probe-targets", "mayfly-revoke-secret", "mayfly-roll-back",
		"mayfly-set-secret", "mayfly-test-secret"}
	var in []string
	for name, f := range made.all("AWS::Lambda::Function", "FunctionName") {
		config := f.Properties["VpcConfig"]
		if config == nil {
			continue
		}
		in = append(in, name)
		if got := made.text(config); got != `{"SecurityGroupIds":["Mayfly: functions that talk to targets.GroupId"],"SubnetIds":["subnet-a","subnet-b"]}` {
			t.Errorf("%s runs in %s", name, got)
		}
		const interfaces = "ec2:AssignPrivateIpAddresses ec2:CreateNetworkInterface ec2:DeleteNetworkInterface ec2:DescribeNetworkInterfaces ec2:DescribeSubnets ec2:UnassignPrivateIpAddresses on *"
		beyond := slices.DeleteFunc(made.roleStatements(t, f.Properties["Role"]), func(s string) bool { return !strings.Contains(s, "ec2:") })
		if diff := cmp.Diff([]string{`Deny ` + interfaces + ` if {"ArnEquals":{"lambda:SourceFunctionArn":"lambda:function:` + name + `"}}`, interfaces}, beyond); diff != "" {
			t.Errorf("%s may do something else with networks (- want, + template):\n%s", name, diff)
		}
	}
	slices.Sort(in)
	if diff := cmp.Diff(want, in); diff != "" {
		t.Errorf("others run in the VPC (- want, + template):\n%s", diff)
	}
	for says, egress := range map[string][]string{
		"Mayfly: functions that talk to targets": {
			"5432-5432 to 10.1.0.0/16: Targets of contracts", "5432-5432 to sg-databases: Targets of contracts",
			"443-443 to pl-s3: S3: audit records", "443-443 to pl-dynamodb: DynamoDB: the registry",
			"443-443 to Mayfly: endpoints of AWS services.GroupId: Endpoints of Secrets Manager, KMS and EventBridge",
		},
		"Mayfly: endpoints of AWS services": {"252-86 to 255.255.255.255/32: Nothing goes out"},
	} {
		group := made.the(t, "AWS::EC2::SecurityGroup", "GroupDescription", says)
		if group.Properties["SecurityGroupIngress"] != nil {
			t.Errorf("%s lets in: %v", says, group.Properties["SecurityGroupIngress"])
		}
		if diff := cmp.Diff(egress, made.ways(group.Properties["SecurityGroupEgress"])); diff != "" {
			t.Errorf("%s lets out something else (- want, + template):\n%s", says, diff)
		}
	}
	in1 := made.the(t, "AWS::EC2::SecurityGroupIngress", "", "")
	if got := made.text(in1.Properties["GroupId"]) + " " + made.text(in1.Properties["SourceSecurityGroupId"]) + " " + made.text(in1.Properties["FromPort"]); got !=
		"Mayfly: endpoints of AWS services.GroupId Mayfly: functions that talk to targets.GroupId 443" {
		t.Errorf("the endpoints are open to %s", got)
	}
}

// ways are the entries of an egress, one line each.
func (t template) ways(egress any) []string {
	var lines []string
	for _, e := range egress.([]any) {
		m := t.resolve(e).(map[string]any)
		to := ""
		for _, kind := range []string{"CidrIp", "DestinationSecurityGroupId", "DestinationPrefixListId"} {
			if m[kind] != nil {
				to += t.text(m[kind])
			}
		}
		lines = append(lines, t.text(m["FromPort"])+"-"+t.text(m["ToPort"])+" to "+to+": "+t.text(m["Description"]))
	}
	return lines
}

// Through the endpoints Mayfly's roles reach what is Mayfly's, in this account, and nobody anything else.
func TestEndpointsLeadToMayflysResourcesOnly(t *testing.T) {
	made := attached()
	want := map[string]string{
		"com.amazonaws.us-east-1.secretsmanager": "Interface secretsmanager:* on " + secrets,
		"com.amazonaws.us-east-1.kms":            "Interface kms:* on kms:key/mayfly-fingerprints",
		"com.amazonaws.us-east-1.events":         "Interface events:* on events:event-bus/mayfly",
		"com.amazonaws.us-east-1.s3":             "Gateway s3:* on " + bucket + " " + bucket + "/audit/*",
		"com.amazonaws.us-east-1.dynamodb":       "Gateway dynamodb:* on " + contracts,
	}
	got := map[string]string{}
	for service, e := range made.all("AWS::EC2::VPCEndpoint", "ServiceName") {
		lines := made.statements(e.Properties["PolicyDocument"])
		if len(lines) != 1 {
			t.Errorf("%s: %q", service, lines)
		}
		line, ok := strings.CutSuffix(strings.TrimPrefix(lines[0], "to * "), ` if {"ArnLike":{"aws:PrincipalArn":"iam:role/mayfly-*"}}`)
		if !ok {
			t.Errorf("%s lets in others than Mayfly's roles: %s", service, lines[0])
		}
		got[service] = made.text(e.Properties["VpcEndpointType"]) + " " + line
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("other endpoints (- want, + template):\n%s", diff)
	}
}

// Where endpoints are there, none are made.
func TestEndpointsThatAreThere(t *testing.T) {
	vpc := maps.Clone(ownVPC)
	delete(vpc, "routeTables")
	vpc["endpoints"] = "sg-doors"
	made := synthesize(t, map[string]any{"vpc": vpc})
	if n := len(made.all("AWS::EC2::VPCEndpoint", "ServiceName")); n != 0 {
		t.Errorf("%d endpoints are made", n)
	}
	group := made.the(t, "AWS::EC2::SecurityGroup", "", "")
	if ways := made.ways(group.Properties["SecurityGroupEgress"]); !slices.Contains(ways, "443-443 to sg-doors: Endpoints of Secrets Manager, KMS and EventBridge") {
		t.Errorf("%q", ways)
	}
}

func TestWithoutVPC(t *testing.T) {
	app, _ := newStack(t, nil)
	if said := annotations(t, app)["Network"]; len(said) != 1 || !strings.Contains(said[0], "run in no VPC") {
		t.Errorf("synthesis says %q", said)
	}
	for _, r := range synthesized() {
		if strings.HasPrefix(r.Type, "AWS::EC2::") {
			t.Errorf("a resource of type %s", r.Type)
		}
	}
}

func TestVPCSettings(t *testing.T) {
	read := func(value any) error {
		_, err := infra.ReadSettings(awscdk.NewApp(&awscdk.AppProps{Context: &map[string]any{"functions": built, "vpc": value}}).Node())
		return err
	}
	const text = `{"id":"vpc-1","subnets":["subnet-a"],"targets":["10.0.0.0/8"],"s3":"pl-1","dynamodb":"pl-2","endpoints":"sg-1"}`
	if err := read(text); err != nil {
		t.Errorf("from the command line: %v", err)
	}
	for name, value := range map[string]string{
		"no JSON": "vpc-1", "more than one": text + text, "misspelled": strings.Replace(text, "subnets", "subnet", 1), "without a VPC": strings.Replace(text, "vpc-1", "", 1),
		"without targets": strings.Replace(text, `"10.0.0.0/8"`, "", 1), "without prefix lists": strings.Replace(text, "pl-2", "", 1),
		"neither endpoints nor route tables": strings.Replace(text, "sg-1", "", 1),
		"both endpoints and route tables":    strings.Replace(text, `"targets"`, `"routeTables":["rtb-1"],"targets"`, 1),
	} {
		if err := read(value); err == nil || !strings.Contains(err.Error(), "context vpc") {
			t.Errorf("%s: %v, want it to name the context", name, err)
		}
	}
}

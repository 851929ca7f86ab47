package template

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// NoEffect is the written list of types that the local stack knows and that change nothing in it. A service that
// provides one of them wins over this list. Their Ref and attributes have the form that AWS documents, so that what
// refers to them resolves.
func NoEffect() map[string]stack.Make {
	return map[string]stack.Make{
		// The CDK's usage report.
		"AWS::CDK::Metadata": stack.NoEffect,

		// Functions run as processes of this machine: there is no network to shape around them.
		"AWS::EC2::VPC": fixed("vpc", map[string]string{
			"VpcId": "{id}", "CidrBlock": "10.0.0.0/16", "DefaultSecurityGroup": "sg-{hex}", "DefaultNetworkAcl": "acl-{hex}",
		}),
		"AWS::EC2::Subnet":                      fixed("subnet", map[string]string{"SubnetId": "{id}", "VpcId": "{VpcId}", "AvailabilityZone": "us-east-1a", "CidrBlock": "{CidrBlock}"}),
		"AWS::EC2::SecurityGroup":               fixed("sg", map[string]string{"GroupId": "{id}", "Id": "{id}", "VpcId": "{VpcId}"}),
		"AWS::EC2::SecurityGroupIngress":        fixed("sgr", map[string]string{"Id": "{id}"}),
		"AWS::EC2::SecurityGroupEgress":         fixed("sgr", map[string]string{"Id": "{id}"}),
		"AWS::EC2::VPCEndpoint":                 fixed("vpce", map[string]string{"Id": "{id}"}),
		"AWS::EC2::RouteTable":                  fixed("rtb", map[string]string{"RouteTableId": "{id}"}),
		"AWS::EC2::SubnetRouteTableAssociation": fixed("rtbassoc", map[string]string{"Id": "{id}"}),
		"AWS::EC2::Route":                       fixed("r", map[string]string{"CidrBlock": "{DestinationCidrBlock}"}),
		"AWS::EC2::InternetGateway":             fixed("igw", map[string]string{"InternetGatewayId": "{id}"}),
		"AWS::EC2::VPCGatewayAttachment":        fixed("attach", nil),
		"AWS::EC2::NatGateway":                  fixed("nat", map[string]string{"NatGatewayId": "{id}"}),
		"AWS::EC2::EIP":                         fixed("eip", map[string]string{"AllocationId": "eipalloc-{hex}", "PublicIp": "203.0.113.10"}),
		"AWS::EC2::FlowLog":                     fixed("fl", map[string]string{"Id": "{id}"}),

		// The audit trail's tables and queries: read here by `mayfly audit query`, straight from the bucket.
		"AWS::Athena::WorkGroup":  named("Name", nil),
		"AWS::Athena::NamedQuery": fixed("query", map[string]string{"NamedQueryId": "{id}"}),
		"AWS::Glue::Database":     named("DatabaseInput.Name", nil),
		"AWS::Glue::Table":        named("TableInput.Name", nil),

		// Pictures for people, of metrics that are there without them.
		"AWS::CloudWatch::Dashboard": named("DashboardName", nil),

		// Written for other stacks to read; functions get what they need from their environment.
		"AWS::SSM::Parameter": named("Name", map[string]string{"Type": "{Type}", "Value": "{Value}"}),

		// Keeps events for replay: nothing here is ever replayed.
		"AWS::Events::Archive": named("ArchiveName", map[string]string{"ArchiveName": "{id}", "Arn": "arn:aws:events:us-east-1:000000000000:archive/{id}"}),
	}
}

// fixed makes resources whose id is the prefix and a number made of the logical id, such as vpc-0f3a...
func fixed(prefix string, att map[string]string) stack.Make {
	return func(_ context.Context, r stack.Resource) (stack.Made, error) {
		return filled(prefix+"-"+hexOf(r.LogicalID), r, att)
	}
}

// named makes resources whose Ref is a property, given by its path, or the logical id when the template names none.
func named(path string, att map[string]string) stack.Make {
	return func(_ context.Context, r stack.Resource) (stack.Made, error) {
		id, err := lookUp(r, path)
		if err != nil {
			return stack.Made{}, err
		}
		if id == "" {
			id = r.LogicalID
		}
		return filled(id, r, att)
	}
}

// filled puts {id}, {hex} and {Property} into the attributes.
func filled(id string, r stack.Resource, att map[string]string) (stack.Made, error) {
	made := stack.Made{Ref: id, Att: map[string]string{}}
	for k, v := range att {
		v = strings.NewReplacer("{id}", id, "{hex}", hexOf(r.LogicalID)).Replace(v)
		if inner, ok := strings.CutPrefix(v, "{"); ok {
			text, err := lookUp(r, strings.TrimSuffix(inner, "}"))
			if err != nil {
				return stack.Made{}, err
			}
			v = text
		}
		made.Att[k] = v
	}
	return made, nil
}

func lookUp(r stack.Resource, path string) (string, error) {
	var v any
	if len(r.Properties) > 0 {
		if err := json.Unmarshal(r.Properties, &v); err != nil {
			return "", fmt.Errorf("%s: %w", r.LogicalID, err)
		}
	}
	for _, step := range strings.Split(path, ".") {
		m, _ := v.(map[string]any)
		v = m[step]
	}
	if v == nil {
		return "", nil
	}
	return fmt.Sprint(v), nil
}

// hexOf is 17 hexadecimal digits, the same for the same text (FNV-1a).
func hexOf(text string) string {
	h := uint64(14695981039346656037)
	for _, b := range []byte(text) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return fmt.Sprintf("0%016x", h)
}

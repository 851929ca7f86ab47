package infra

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// VPC is the context "vpc": where the functions run that talk to targets. It is given as JSON on the command line, or as an
// object in cdk.json.
type VPC struct {
	ID          string   `json:"id"`
	Subnets     []string `json:"subnets"`     // private ones, in two zones or more
	Targets     []string `json:"targets"`     // CIDR blocks, or ids of security groups, that targets are in
	S3          string   `json:"s3"`          // prefix list of S3 in the Region: pl-…
	DynamoDB    string   `json:"dynamodb"`    // prefix list of DynamoDB in the Region
	RouteTables []string `json:"routeTables"` // of the subnets; endpoints are made for them
	// Endpoints is the security group of interface endpoints for Secrets Manager, KMS and EventBridge that are there already,
	// with private DNS, and with gateways for S3 and DynamoDB. Then none are made, and RouteTables must be empty.
	Endpoints string `json:"endpoints"`
}

// readVPC reads the context; nil where there is none.
func readVPC(value any) (*VPC, error) {
	if value == nil {
		return nil, nil
	}
	text, isText := value.(string)
	if !isText {
		b, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		text = string(b)
	}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	v := &VPC{}
	if err := d.Decode(v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("want one JSON object")
	}
	switch {
	case v.ID == "" || len(v.Subnets) == 0 || len(v.Targets) == 0:
		return nil, errors.New("want id, subnets and targets")
	case v.S3 == "" || v.DynamoDB == "":
		return nil, errors.New("want s3 and dynamodb, the prefix lists of the Region: aws ec2 describe-managed-prefix-lists")
	case (v.Endpoints == "") == (len(v.RouteTables) == 0):
		return nil, errors.New("want routeTables, for endpoints to be made, or endpoints, the security group of those that are there")
	}
	return v, nil
}

// Network keeps functions where they reach targets, the AWS services that they call, and nothing else. Names are looked up
// by the VPC's own resolver, which security groups do not filter, and which answers for private names only where the VPC is
// told so. The log is written by Lambda itself, from outside.
//   - https://docs.aws.amazon.com/vpc/latest/userguide/vpc-security-groups.html
//   - https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
type Network struct {
	constructs.Construct
	vpc              *VPC
	functions, doors awsec2.CfnSecurityGroup // of the functions, and of the endpoints that are made
}

// NewNetwork makes the functions' security group, whose every way out is listed here: to targets at the contracts' ports, to
// endpoints, and to S3 and DynamoDB through gateways. Without a VPC it says that there is none.
func NewNetwork(scope constructs.Construct, id string, vpc *VPC, ports []int) Network {
	n := Network{Construct: constructs.NewConstruct(scope, &id), vpc: vpc}
	if vpc == nil {
		awscdk.Annotations_Of(n.Construct).AddWarningV2(jsii.String("mayfly:vpc"),
			jsii.String("Functions that talk to targets run in no VPC: they reach the whole internet, and no private target. Give the context vpc: docs/operations.md#a-vpc"))
		return n
	}
	if vpc.Endpoints == "" {
		n.doors = n.group("EndpointGroup", "Mayfly: endpoints of AWS services", nowhere())
	}
	var out []any
	for _, target := range vpc.Targets {
		for _, port := range ports {
			out = append(out, n.egress(target, port, "Targets of contracts"))
		}
	}
	out = append(out, n.egress(vpc.S3, 443, "S3: audit records"), n.egress(vpc.DynamoDB, 443, "DynamoDB: the registry"),
		n.egress(n.door(), 443, "Endpoints of Secrets Manager, KMS and EventBridge"))
	n.functions = n.group("FunctionGroup", "Mayfly: functions that talk to targets", out)
	if n.doors != nil {
		awsec2.NewCfnSecurityGroupIngress(n.Construct, jsii.String("FromFunctions"), &awsec2.CfnSecurityGroupIngressProps{
			GroupId: n.doors.AttrGroupId(), SourceSecurityGroupId: n.functions.AttrGroupId(), IpProtocol: jsii.String("tcp"),
			FromPort: jsii.Number(443), ToPort: jsii.Number(443), Description: jsii.String("Functions of Mayfly"),
		})
	}
	return n
}

func (n Network) group(id, says string, egress []any) awsec2.CfnSecurityGroup {
	return awsec2.NewCfnSecurityGroup(n.Construct, &id, &awsec2.CfnSecurityGroupProps{
		GroupDescription: &says, VpcId: &n.vpc.ID, SecurityGroupEgress: &egress,
	})
}

// nowhere is an egress that lets nothing out: without one, CloudFormation lets everything out.
// Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-securitygroup.html
func nowhere() []any {
	return []any{awsec2.CfnSecurityGroup_EgressProperty{CidrIp: jsii.String("255.255.255.255/32"), IpProtocol: jsii.String("icmp"),
		FromPort: jsii.Number(252), ToPort: jsii.Number(86), Description: jsii.String("Nothing goes out")}}
}

func (n Network) door() string {
	if n.doors != nil {
		return *n.doors.AttrGroupId()
	}
	return n.vpc.Endpoints
}

// egress is the way out to a CIDR block, a security group or a prefix list.
func (n Network) egress(to string, port int, says string) awsec2.CfnSecurityGroup_EgressProperty {
	e := awsec2.CfnSecurityGroup_EgressProperty{IpProtocol: jsii.String("tcp"), FromPort: jsii.Number(port), ToPort: jsii.Number(port), Description: &says}
	switch {
	case strings.HasPrefix(to, "pl-"):
		e.DestinationPrefixListId = &to
	case strings.HasPrefix(to, "sg-"), *awscdk.Token_IsUnresolved(to):
		e.DestinationSecurityGroupId = &to
	default:
		e.CidrIp = &to
	}
	return e
}

// Attach puts functions into the VPC. Lambda makes their network interfaces with their roles; the functions themselves may
// not, which the denial sees to, as Lambda advises.
// Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-best-practice-security
func (n Network) Attach(functions ...*Function) {
	if n.vpc == nil {
		return
	}
	interfaces := []string{"ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface",
		"ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses"}
	stack := awscdk.Stack_Of(n.Construct)
	for _, f := range functions {
		f.Allow("AttachToVPC", interfaces, jsii.String("*"))
		f.role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Sid: jsii.String("NeverAttachItself"), Effect: awsiam.Effect_DENY, Actions: jsii.Strings(interfaces...), Resources: jsii.Strings("*"),
			Conditions: &map[string]any{"ArnEquals": map[string]any{
				"lambda:SourceFunctionArn": arn(stack, "lambda", "function:mayfly-"+functionName(f.State)),
			}},
		}))
		made := f.Function.Node().DefaultChild().(awslambda.CfnFunction)
		made.SetVpcConfig(&awslambda.CfnFunction_VpcConfigProperty{
			SubnetIds: jsii.Strings(n.vpc.Subnets...), SecurityGroupIds: &[]*string{n.functions.AttrGroupId()},
		})
		made.Node().AddDependency(f.role) // with its policy: Lambda makes the interfaces at once
	}
}

// Connect makes the endpoints, through which Mayfly's roles reach Mayfly's resources of this account, and nobody anything else.
// Source: https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html
func (n Network) Connect(authority Authority, audit Audit, registry Registry, fingerprints *string, bus *string) {
	if n.vpc == nil || n.doors == nil {
		return
	}
	n.endpoint("secretsmanager", false, authority.secrets...)
	n.endpoint("kms", false, fingerprints)
	n.endpoint("events", false, bus)
	n.endpoint("s3", true, audit.Bucket.BucketArn(), audit.Bucket.ArnForObjects(jsii.String(auditPrefix+"*")))
	n.endpoint("dynamodb", true, registry.Contracts.TableArn())
}

func (n Network) endpoint(service string, gateway bool, resources ...*string) {
	stack := awscdk.Stack_Of(n.Construct)
	props := &awsec2.CfnVPCEndpointProps{
		ServiceName: jsii.String("com.amazonaws." + *stack.Region() + "." + service),
		VpcId:       &n.vpc.ID,
		PolicyDocument: map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
			"Sid": "MayflyItsOwn", "Effect": "Allow", "Principal": "*", "Action": service + ":*", "Resource": resources,
			"Condition": map[string]any{"ArnLike": map[string]any{
				"aws:PrincipalArn": fmt.Sprintf("arn:%s:iam::%s:role/mayfly-*", *stack.Partition(), *stack.Account()),
			}},
		}}},
	}
	if gateway {
		props.VpcEndpointType, props.RouteTableIds = jsii.String("Gateway"), anything(n.vpc.RouteTables)
	} else {
		props.VpcEndpointType, props.SubnetIds = jsii.String("Interface"), anything(n.vpc.Subnets)
		props.PrivateDnsEnabled, props.SecurityGroupIds = jsii.Bool(true), &[]any{n.doors.AttrGroupId()}
	}
	awsec2.NewCfnVPCEndpoint(n.Construct, &service, props)
}

func anything(list []string) *[]any {
	all := texts(list)
	return &all
}

// ports are the ports of targets, each once, sorted.
func ports(all []int) []int {
	slices.Sort(all)
	return slices.Compact(all)
}

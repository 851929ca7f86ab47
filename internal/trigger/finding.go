package trigger

import "encoding/json"

// finding holds the members of a GuardDuty finding that say who is meant:
// https://docs.aws.amazon.com/guardduty/latest/APIReference/API_Finding.html
type finding struct {
	ID       string   `json:"id"`
	Type     string   `json:"type"`
	Severity *float64 `json:"severity"`
	Resource struct {
		AccessKey accessKey `json:"accessKeyDetails"`
		Instance  instance  `json:"instanceDetails"`
		Lambda    struct {
			Name string `json:"functionName"`
			Role string `json:"role"`
		} `json:"lambdaDetails"`
		ECS struct {
			Name string `json:"name"`
			Task struct {
				Group      string `json:"group"`
				Definition string `json:"definitionArn"`
			} `json:"taskDetails"`
		} `json:"ecsClusterDetails"`
		EKS struct {
			Name string `json:"name"`
		} `json:"eksClusterDetails"`
		Kubernetes kubernetes `json:"kubernetesDetails"`
		Database   struct {
			Instance string `json:"dbInstanceIdentifier"`
			Cluster  string `json:"dbClusterIdentifier"`
		} `json:"rdsDbInstanceDetails"`
		Limitless struct {
			Group   string `json:"dbShardGroupIdentifier"`
			Cluster string `json:"dbClusterIdentifier"`
		} `json:"rdsLimitlessDbDetails"`
		DatabaseUser struct {
			User string `json:"user"`
		} `json:"rdsDbUserDetails"`
	} `json:"resource"`
	Service struct {
		Archived   bool            `json:"archived"`
		Additional json.RawMessage `json:"additionalInfo"`
		Action     struct {
			Login struct {
				Attributes []struct {
					User string `json:"user"`
				} `json:"LoginAttributes"`
			} `json:"rdsLoginAttemptAction"`
		} `json:"action"`
		Detection struct {
			Sequence sequence `json:"sequence"`
		} `json:"detection"`
	} `json:"service"`
}

type accessKey struct {
	ID       string `json:"accessKeyId"`
	UserName string `json:"userName"`
	UserType string `json:"userType"` // AssumedRole, IAMUser, Root, …
}

type instance struct {
	Profile struct {
		ARN string `json:"arn"`
	} `json:"iamInstanceProfile"`
}

// kubernetes says which workload, and as whom it acted.
type kubernetes struct {
	User struct {
		Name string `json:"username"` // system:serviceaccount:<namespace>:<name>, or an ARN of IAM
	} `json:"kubernetesUserDetails"`
	Workload struct {
		Name      string `json:"name"`
		Type      string `json:"type"` // pods, deployments, daemonsets, …
		Namespace string `json:"namespace"`
		Account   string `json:"serviceAccountName"`
	} `json:"kubernetesWorkloadDetails"`
}

// sequence is what AttackSequence findings have instead of one resource:
// https://docs.aws.amazon.com/guardduty/latest/APIReference/API_Sequence.html
type sequence struct {
	Actors []struct {
		User struct {
			Name       string `json:"name"`
			Type       string `json:"type"`
			Credential string `json:"credentialUid"`
		} `json:"user"`
		Session struct {
			Issuer string `json:"issuer"`
		} `json:"session"`
	} `json:"actors"`
	Resources []sequenceResource `json:"resources"`
}

type sequenceResource struct {
	UID  string `json:"uid"` // an ARN, or the id of an access key
	Kind string `json:"resourceType"`
	Data struct {
		AccessKey accessKey `json:"accessKey"`
		Instance  instance  `json:"ec2Instance"`
		Task      struct {
			Definition string `json:"taskDefinitionArn"`
		} `json:"ecsTask"`
	} `json:"data"`
}

package template

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// manifest is the part of a cloud assembly's manifest.json that says which stacks it holds.
// Source: https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.cloud_assembly_schema-readme.html
type manifest struct {
	Artifacts map[string]struct {
		Type       string
		Properties struct {
			TemplateFile string
			StackName    string
		}
	}
}

// assetManifest is a Stack.assets.json.
type assetManifest struct {
	Files map[string]struct {
		Source struct {
			Path      string
			Packaging string // "zip": path is a folder, "file": path is the file itself
		}
		Destinations map[string]struct{ ObjectKey string }
	}
	DockerImages map[string]json.RawMessage
}

func loadAssembly(dir, stackName string) (*Template, error) {
	var m manifest
	if err := readJSON(filepath.Join(dir, "manifest.json"), &m); err != nil {
		return nil, fmt.Errorf("cloud assembly %s: %w", dir, err)
	}
	files := map[string]string{} // stack name -> template file
	for id, a := range m.Artifacts {
		if a.Type != "aws:cloudformation:stack" {
			continue
		}
		name := a.Properties.StackName
		if name == "" {
			name = id
		}
		files[name] = a.Properties.TemplateFile
	}
	stacks := sortedKeys(files)
	if stackName == "" {
		if len(stacks) != 1 {
			return nil, fmt.Errorf("cloud assembly %s holds %d stacks (%s): name the one to deploy", dir, len(stacks), strings.Join(stacks, ", "))
		}
		stackName = stacks[0]
	}
	file, ok := files[stackName]
	if !ok {
		return nil, fmt.Errorf("cloud assembly %s holds no stack %q, only %s", dir, stackName, strings.Join(stacks, ", "))
	}
	t, err := loadFile(filepath.Join(dir, file), stackName)
	if err != nil {
		return nil, err
	}
	return t, t.loadAssets(dir, strings.TrimSuffix(file, ".template.json")+".assets.json")
}

func (t *Template) loadAssets(dir, file string) error {
	var m assetManifest
	err := readJSON(filepath.Join(dir, file), &m)
	if os.IsNotExist(err) {
		return nil // a stack synthesized without a bootstrap version has no asset manifest
	}
	if err != nil {
		return fmt.Errorf("assets of %s: %w", t.Name, err)
	}
	if len(m.DockerImages) > 0 {
		return fmt.Errorf("%s: the local stack runs no container images, and the assembly holds %d", filepath.Join(dir, file), len(m.DockerImages))
	}
	for _, f := range m.Files {
		for _, d := range f.Destinations {
			t.Assets[d.ObjectKey] = filepath.Join(dir, f.Source.Path)
		}
	}
	return nil
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

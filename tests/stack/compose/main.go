// Prints as JSON what others make of a YAML file.
//
//	compose load FILE PROFILE...   a compose file as docker compose understands it, with the `.env` beside it
//	compose yaml FILE              any YAML file
//
// The first loads the file with docker compose's own library, which holds it against the JSON schema of the Compose
// Specification, fills in variables, picks the profiles' services and checks what services say of one another.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
	"go.yaml.in/yaml/v3"
)

func load(file string, profiles []string) ([]byte, error) {
	options, err := cli.NewProjectOptions([]string{file},
		cli.WithOsEnv,
		cli.WithEnvFiles(),
		cli.WithDotEnv,
		cli.WithDefaultProfiles(profiles...),
		cli.WithInterpolation(true),
		cli.WithNormalization(true),
		cli.WithConsistency(true),
		cli.WithResolvedPaths(true),
	)
	if err != nil {
		return nil, err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return nil, err
	}
	return project.MarshalJSON()
}

func plain(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var value any
	if err := yaml.Unmarshal(text, &value); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return json.Marshal(value)
}

func main() {
	var out []byte
	var err error
	switch {
	case len(os.Args) > 2 && os.Args[1] == "load":
		out, err = load(os.Args[2], os.Args[3:])
	case len(os.Args) == 3 && os.Args[1] == "yaml":
		out, err = plain(os.Args[2])
	default:
		fmt.Fprintln(os.Stderr, "usage: compose load FILE [PROFILE...] | compose yaml FILE")
		os.Exit(64)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(string(out))
}

package main

import (
	"debug/buildinfo"
	"debug/macho"
	"encoding/binary"
	"fmt"
)

const anyPython = "py3-none-"

// tags returns the wheel's tags for a binary: any Python 3, and the oldest systems on which the binary runs.
func tags(path string) ([]string, error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return nil, err
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	platform := settings["GOOS"] + "/" + settings["GOARCH"]
	machine := map[string]string{
		"linux/amd64": "x86_64", "linux/arm64": "aarch64", "darwin/amd64": "x86_64", "darwin/arm64": "arm64",
	}[platform]
	switch {
	case settings["CGO_ENABLED"] != "0":
		return nil, fmt.Errorf("%s was built with CGO_ENABLED=%s: the wheel needs 0", path, settings["CGO_ENABLED"])
	case machine == "":
		return nil, fmt.Errorf("%s was built for %s, which has no wheel", path, platform)
	case settings["GOOS"] == "darwin":
		major, minor, err := oldestMacOS(path)
		return []string{fmt.Sprintf("%smacosx_%d_%d_%s", anyPython, major, minor, machine)}, err
	}
	// A static binary needs neither glibc nor musl, so these are the oldest that pip and uv still know.
	return []string{
		anyPython + "manylinux_2_17_" + machine,
		anyPython + "manylinux2014_" + machine,
		anyPython + "musllinux_1_1_" + machine,
	}, nil
}

// oldestMacOS returns the minimum that Go's linker wrote into the binary (LC_BUILD_VERSION of Mach-O).
func oldestMacOS(path string) (major, minor uint32, err error) {
	f, err := macho.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	const buildVersion = 0x32
	for _, load := range f.Loads {
		raw := load.Raw()
		if binary.LittleEndian.Uint32(raw) == buildVersion {
			oldest := binary.LittleEndian.Uint32(raw[12:])
			return oldest >> 16, oldest >> 8 & 0xff, nil
		}
	}
	return 0, 0, fmt.Errorf("%s does not say which macOS it needs", path)
}

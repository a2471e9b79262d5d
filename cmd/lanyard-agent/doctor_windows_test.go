package main

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/windows/registry"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/desk"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/settings"
)

// registryForTests skips where the registry is somebody's.
func registryForTests(t *testing.T) {
	t.Helper()
	if os.Getenv("LANYARD_TEST_REGISTRY") != "yes" {
		t.Skip("the registry of this system is not one for tests (make test-wine)")
	}
}

// write puts texts into a key, and takes the key away again.
func write(t *testing.T, h hive, path string, values map[string]string) {
	t.Helper()
	for name, text := range values {
		if err := h.set(path, name, text); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		at := strings.LastIndexByte(path, '\\')
		above, err := registry.OpenKey(h.key, path[:at], registry.ALL_ACCESS|h.view)
		if err != nil {
			t.Fatal(err)
		}
		defer above.Close()
		if err := registry.DeleteKey(above, path[at+1:]); err != nil && !errors.Is(err, registry.ErrNotExist) {
			t.Error(err)
		}
	})
}

func TestRegisterOnWindows(t *testing.T) {
	registryForTests(t)
	t.Run("own rule: links are opened by this program while it runs, and by no option of theirs", func(t *testing.T) {
		undo, err := register(t.Context(), os.Getenv, `C:\Program Files\Lanyard\lanyard-agent.exe`)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := personHive.text(commandKey, ""), `"C:\Program Files\Lanyard\lanyard-agent.exe" open -- "%1"`; got != want {
			t.Errorf("the command is %s, want %s", got, want)
		}
		if k, err := registry.OpenKey(personHive.key, schemeKey, registry.QUERY_VALUE); err != nil {
			t.Error(err)
		} else if _, _, err := k.GetStringValue("URL Protocol"); err != nil {
			t.Errorf("it is no scheme: %v", err)
		}
		undo()
		if _, err := registry.OpenKey(personHive.key, schemeKey, registry.QUERY_VALUE); err == nil {
			t.Error("it was left there")
		}
	})
	t.Run("own rule: what somebody else has registered since is left alone", func(t *testing.T) {
		undo, err := register(t.Context(), os.Getenv, `C:\one.exe`)
		if err != nil {
			t.Fatal(err)
		}
		again, err := register(t.Context(), os.Getenv, `C:\two.exe`)
		if err != nil {
			t.Fatal(err)
		}
		if undo(); personHive.text(commandKey, "") != commandOf(`C:\two.exe`) {
			t.Error("it was taken away")
		}
		again()
	})
	t.Run("own rule: an agent that is installed for all registers nothing", func(t *testing.T) {
		write(t, machineHive, commandKey, map[string]string{"": commandOf(`C:\installed.exe`)})
		undo, err := register(t.Context(), os.Getenv, `C:\one.exe`)
		if err != nil || personHive.text(commandKey, "") != "" {
			t.Errorf("register() = %v", err)
		}
		undo()
	})
}

func TestDoctorOnWindows(t *testing.T) {
	registryForTests(t)
	const origin = "https://id.hospital.example"
	s := settings.Settings{Services: []desk.Service{{Alias: "id.hospital.example", Issuer: origin, Origin: origin}}}
	examined := func(t *testing.T, look func(*examination)) string {
		t.Helper()
		e := &examination{now: time.Now, getenv: os.Getenv}
		look(e)
		return e.says(t)
	}
	t.Run("own rule: the doctor knows browsers by the registry, and what was decided for them", func(t *testing.T) {
		for _, client := range []string{"Google Chrome", "Microsoft Edge", "Firefox-308046B0AF4A39CB"} {
			write(t, machineHive, `SOFTWARE\Clients\StartMenuInternet\`+client, map[string]string{"": client})
		}
		write(t, machineHive, `SOFTWARE\Policies\Google\Chrome`, map[string]string{
			"AutoLaunchProtocolsFromOrigins": `[{"protocol":"lanyard-desk","allowed_origins":["` + origin + `"]}]`})
		write(t, personHive, `SOFTWARE\Policies\Microsoft\Edge\URLBlocklist`, map[string]string{"1": "*"})
		write(t, machineHive, `SOFTWARE\Policies\Mozilla\Firefox`, map[string]string{"AutoLaunchProtocolsFromOrigins": `[{`})
		said := examined(t, func(e *examination) { e.browsers(s) })
		for _, want := range []string{
			"ok    browser Chrome: links of " + origin + " open without a question",
			"FAIL  browser Edge: its URLBlocklist keeps",
			`warn  browser Firefox: HKLM\SOFTWARE\Policies\Mozilla\Firefox: it cannot be read: AutoLaunchProtocolsFromOrigins is no JSON`,
		} {
			if !strings.Contains(said, want) {
				t.Errorf("it does not say %q: %s", want, said)
			}
		}
		write(t, machineHive, `SOFTWARE\Policies\Microsoft\Edge\URLAllowlist`, map[string]string{"7": "lanyard-desk:*", "8": "127.0.0.1"})
		if said := examined(t, func(e *examination) { e.browsers(s) }); strings.Contains(said, "FAIL") {
			t.Errorf("it says %s", said)
		}
	})
	t.Run("own rule: the doctor finds older products among what is installed", func(t *testing.T) {
		if said := examined(t, func(e *examination) { e.olderProducts(t.Context()) }); !strings.HasPrefix(said, "ok ") {
			t.Errorf("it says %s", said)
		}
		write(t, hive{"HKLM", registry.LOCAL_MACHINE, registry.WOW64_32KEY}, `SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\{1}`,
			map[string]string{"DisplayName": "NHS Credential Management 3.1"})
		if said := examined(t, func(e *examination) { e.olderProducts(t.Context()) }); !strings.HasPrefix(said, "warn  older products: NHS Credential Management 3.1 is installed") {
			t.Errorf("it says %s", said)
		}
	})
	t.Run("own rule: the doctor says who opens the links, and where that is said", func(t *testing.T) {
		if said := examined(t, func(e *examination) { e.links(t.Context()) }); !strings.HasPrefix(said, "FAIL  links: nobody") {
			t.Errorf("it says %s", said)
		}
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		write(t, machineHive, commandKey, map[string]string{"": commandOf(self)})
		if said := examined(t, func(e *examination) { e.links(t.Context()) }); !strings.HasPrefix(said, "ok ") {
			t.Errorf("it says %s", said)
		}
		write(t, personHive, commandKey, map[string]string{"": `"C:\other.exe" "%1"`})
		if said := examined(t, func(e *examination) { e.links(t.Context()) }); !strings.HasPrefix(said, "FAIL  links: the links of sign-in pages are opened by") || !strings.Contains(said, `HKCU\Software\Classes`) {
			t.Errorf("it says %s", said)
		}
	})
	t.Run("own rule: the doctor finds what runs", func(t *testing.T) {
		if len(running()) == 0 {
			t.Error("nothing runs")
		}
	})
}

package settings

import (
	"os"
	"testing"

	"golang.org/x/sys/windows/registry"
)

// TestRegistryOfWindows writes to the registry, so it has to be one for tests.
func TestRegistryOfWindows(t *testing.T) {
	if os.Getenv("LANYARD_TEST_REGISTRY") != "yes" {
		t.Skip("the registry of this system is not one for tests (make test-wine)")
	}
	write := func(t *testing.T, hive registry.Key, path string, view uint32, set func(registry.Key) error) {
		t.Helper()
		k, _, err := registry.CreateKey(hive, path, registry.ALL_ACCESS|view)
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close()
		if err := set(k); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			k, err := registry.OpenKey(hive, path, registry.ALL_ACCESS|view)
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close()
			names, _ := k.ReadValueNames(-1)
			for _, name := range names {
				_ = k.DeleteValue(name)
			}
		})
	}
	text := func(name, value string) func(registry.Key) error {
		return func(k registry.Key) error { return k.SetStringValue(name, value) }
	}
	read := func(t *testing.T) Settings {
		t.Helper()
		layers, err := Layers(os.Getenv)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Read(layers...)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	t.Run("own rule: an empty registry says nothing", func(t *testing.T) {
		if s := read(t); !s.Assumed() || s.Named(nameTimer).Rank != Default {
			t.Errorf("%+v", s.Said())
		}
	})
	t.Run("own rule: the registry's places count in their order", func(t *testing.T) {
		for _, at := range []struct {
			hive  registry.Key
			path  string
			view  uint32
			name  string
			value string
			from  string
		}{
			{registry.LOCAL_MACHINE, `SOFTWARE\WOW6432Node\NHS\SmartcardConnect`, registry.WOW64_64KEY, nameTimer, "40", `HKLM\SOFTWARE\WOW6432Node\NHS\SmartcardConnect\TimeToShowPinForm`},
			{registry.CURRENT_USER, `SOFTWARE\Lanyard\Agent`, registry.WOW64_64KEY, nameTimer, "50", `HKCU\SOFTWARE\Lanyard\Agent\TimeToShowPinForm`},
			{registry.LOCAL_MACHINE, `SOFTWARE\Lanyard\Agent`, registry.WOW64_32KEY, nameTimer, "60", `HKLM\SOFTWARE\WOW6432Node\Lanyard\Agent\TimeToShowPinForm`},
			{registry.LOCAL_MACHINE, `SOFTWARE\Lanyard\Agent`, registry.WOW64_64KEY, nameTimer, "70", `HKLM\SOFTWARE\Lanyard\Agent\TimeToShowPinForm`},
			{registry.LOCAL_MACHINE, `SOFTWARE\Policies\Lanyard\Agent`, registry.WOW64_64KEY, nameTimer, "80", `HKLM\SOFTWARE\Policies\Lanyard\Agent\TimeToShowPinForm`},
		} {
			write(t, at.hive, at.path, at.view, text(at.name, at.value))
			if said := read(t).Named(nameTimer); said.Text != at.value || said.From != at.from {
				t.Errorf("%+v, want %s", said, at.from)
			}
		}
	})
	t.Run("own rule: numbers and lists are taken as text is", func(t *testing.T) {
		write(t, registry.LOCAL_MACHINE, `SOFTWARE\Policies\Lanyard\Agent`, registry.WOW64_64KEY, func(k registry.Key) error {
			if err := k.SetDWordValue(nameTimer, 90); err != nil {
				return err
			}
			if err := k.SetDWordValue(namePolling, 1); err != nil {
				return err
			}
			if err := k.SetExpandStringValue(nameIssuer, "https://%LANYARD_TEST_HOST%"); err != nil {
				return err
			}
			return k.SetStringsValue(nameOthers, []string{"https://b.example", "https://c.example/realm https://pages.c.example"})
		})
		t.Setenv("LANYARD_TEST_HOST", "a.example")
		s := read(t)
		if s.PINTimer.Seconds() != 90 || !s.PollReaders || len(s.Services) != 3 || s.Services[0].Issuer != "https://a.example" || s.Services[2].Origin != "https://pages.c.example" {
			t.Errorf("%+v", s)
		}
	})
	t.Run("own rule: a value that is no text and no number is an error", func(t *testing.T) {
		write(t, registry.CURRENT_USER, `SOFTWARE\Lanyard\Agent`, registry.WOW64_64KEY, func(k registry.Key) error { return k.SetBinaryValue(nameTimer, []byte{1, 2}) })
		if _, err := Layers(os.Getenv); err == nil {
			t.Error("it is taken")
		}
	})
}

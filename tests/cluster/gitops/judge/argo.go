package main

import (
	"context"
	"fmt"
	"time"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Key of a health script in argocd-cm, as Argo CD derives it from group and kind.
const healthKey = "resource.customizations.health.%s_%s"

// Argo CD gives up on a script after that long.
const scriptTimeout = time.Second

var known = map[string]bool{
	"Unknown": true, "Progressing": true, "Suspended": true, "Healthy": true, "Degraded": true, "Missing": true,
}

type argoHealth struct {
	Data map[string]string `json:"data"`
}

func loadHealth(path string) (argoHealth, error) {
	documents, err := load[argoHealth](path)
	if err != nil {
		return argoHealth{}, err
	}
	if len(documents) != 1 {
		return argoHealth{}, fmt.Errorf("%s: %d documents, want the ConfigMap argocd-cm alone", path, len(documents))
	}
	return documents[0], nil
}

// of follows Argo CD: an object that is being deleted never reaches its script, one without a script
// has no health, and what a script gets wrong is Unknown.
func (h argoHealth) of(object *unstructured.Unstructured) Verdict {
	if object.GetDeletionTimestamp() != nil {
		return Verdict{"Progressing", "Pending deletion"}
	}
	kind := object.GroupVersionKind()
	script, found := h.Data[fmt.Sprintf(healthKey, kind.Group, kind.Kind)]
	if !found {
		return Verdict{}
	}
	verdict, err := runScript(script, object)
	if err != nil {
		return Verdict{"Unknown", err.Error()}
	}
	return verdict
}

func runScript(script string, object *unstructured.Unstructured) (Verdict, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	// What a script may use unless an administrator sets useOpenLibs: no string, math or io. Argo CD
	// adds the clock of os, which no script of ours needs.
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable,
	} {
		call := lua.P{Fn: state.NewFunction(open), Protect: true}
		if err := state.CallByParam(call, lua.LString(name)); err != nil {
			return Verdict{}, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), scriptTimeout)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("obj", toLua(state, object.Object))
	if err := state.DoString(script); err != nil {
		return Verdict{}, err
	}
	table, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return Verdict{}, fmt.Errorf("expect table output from Lua script, not %s", state.Get(-1).Type())
	}
	verdict := Verdict{lua.LVAsString(table.RawGetString("status")), lua.LVAsString(table.RawGetString("message"))}
	if !known[verdict.Status] {
		return Verdict{}, fmt.Errorf("Lua returned an invalid health status %q", verdict.Status)
	}
	return verdict, nil
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case float64:
		return lua.LNumber(value)
	case int64:
		return lua.LNumber(value)
	case string:
		return lua.LString(value)
	case []any:
		table := state.CreateTable(len(value), 0)
		for _, item := range value {
			table.Append(toLua(state, item))
		}
		return table
	case map[string]any:
		table := state.CreateTable(0, len(value))
		for key, item := range value {
			table.RawSetString(key, toLua(state, item))
		}
		return table
	}
	return lua.LNil
}

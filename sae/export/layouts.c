/* The one list of layouts. */
#include "sae/export/export.h"

#include <string.h>

const struct export_layout export_layouts[EXPORT_LAYOUTS] = {
    {"saelens", export_saelens_has, NULL, export_saelens, export_saelens_python},
    {"sparsify", export_sparsify_has, export_sparsify_is_whole, export_sparsify,
     export_sparsify_python},
    {"circuit-tracer", export_circuit_tracer_has, export_circuit_tracer_is_whole,
     export_circuit_tracer, export_circuit_tracer_python},
    {"hooks", export_hooks_has, NULL, export_hooks, export_hooks_python},
};

const struct export_layout *export_layout(const char *name)
{
    for (int i = 0; i < EXPORT_LAYOUTS; i++)
        if (strcmp(export_layouts[i].name, name) == 0) return &export_layouts[i];
    return NULL;
}

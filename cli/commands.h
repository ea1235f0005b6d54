/* The commands of `sluice` that look at a pipeline or its buffer; `up` has a file of its own. */
#ifndef SLUICE_CLI_COMMANDS_H
#define SLUICE_CLI_COMMANDS_H

#include "config/config.h"
#include "runtime/options.h"

/* All: results on stdout; ERR_OK, or an error with err_text(). They block for a second or a few,
 * `sweep` as up_run(), `buffer verify|repair` and `check` for as long as reading the buffer, or
 * opening the model, takes. */

int check_command(const struct options *options, const struct config *config);
int sweep_command(const struct options *options, const struct config *config);
int keygen_command(const struct options *options, const struct config *config);
int finish_command(const struct options *options, const struct config *config);
/* `config` is NULL where no FILE was named: of all streams on this machine. */
int status_command(const struct options *options, const struct config *config);
/* Until it is told to end; `config` as above: the one that runs. */
int top_command(const struct options *options, const struct config *config);
int buffer_info_command(const struct options *options, const struct config *config);
int buffer_verify_command(const struct options *options, const struct config *config);
int buffer_repair_command(const struct options *options, const struct config *config);
int consumer_list_command(const struct options *options, const struct config *config);
int consumer_drop_command(const struct options *options, const struct config *config);

/* FILE need not be a configuration, so these open what they are given themselves: `config` is
 * NULL. */
int export_command(const struct options *options, const struct config *config);
int eval_command(const struct options *options, const struct config *config);
int inspect_command(const struct options *options, const struct config *config);
int browse_command(const struct options *options, const struct config *config);
int features_list_command(const struct options *options, const struct config *config);
int features_best_command(const struct options *options, const struct config *config);
int features_show_command(const struct options *options, const struct config *config);
int features_neighbours_command(const struct options *options, const struct config *config);
int features_search_command(const struct options *options, const struct config *config);
int features_label_command(const struct options *options, const struct config *config);
int features_export_command(const struct options *options, const struct config *config);
int steer_command(const struct options *options, const struct config *config);
int trace_command(const struct options *options, const struct config *config);
int tap_list_command(const struct options *options, const struct config *config);
int tap_on_command(const struct options *options, const struct config *config);
int tap_off_command(const struct options *options, const struct config *config);
int tap_set_command(const struct options *options, const struct config *config);

/* Becomes another program, with its exit code, where it can: `config` is NULL where no FILE was
 * named. */
int tap_command(const struct options *options, const struct config *config);

#endif

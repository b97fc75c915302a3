# The layers, and what each of them gets: its machine, its number of tasks, its limits. Pure arithmetic.

locals {
  layers = { for layer in range(var.lowest_layer, var.layers + 1) : tostring(layer) => layer }

  # Those that have nodes, and so rows; below them are the cuts of a segmentation and the parts of its tables.
  graph_layers = { for key, layer in local.layers : key => layer if layer >= 2 }

  # A large run is queued some at a time, in the lowest layer that has the whole grid.
  fed = [for key, layer in local.layers : key if layer == 1 || layer == 2]

  # Who reads what is given, and who writes what stands beside the table.
  readers = var.lowest_layer < 2 ? [for key, layer in local.layers : key if layer < 2] : ["2"]
  writers = distinct(concat(local.fed, [tostring(var.layers)]))

  # Cloud Run: the least and the most memory in GiB that a machine of so many CPUs may have.
  memory_by_cpu = {
    "1" = { least = 0.5, most = 4 }
    "2" = { least = 0.5, most = 8 }
    "4" = { least = 2, most = 16 }
    "6" = { least = 4, most = 24 }
    "8" = { least = 4, most = 32 }
  }

  # Every attribute of an override is there, null where it was not given.
  none  = { cpu = null, memory_gib = null, processes = null, at_once = null, start = null, factor = null, period = null, max = null, timeout_hours = null, max_retries = null }
  given = { for key, layer in local.layers : key => merge(local.none, try(var.by_layer[key], {})) }

  # 1 GiB at least, whatever a chunk needs: a worker without one takes 170 MB, by what was measured elsewhere, and a
  # task that is too small is killed again and again.
  memory_gib = { for key, layer in local.layers : key => max(1, coalesce(
    local.given[key].memory_gib,
    lookup(var.layer_memory_gib, key, null),
    min(var.machine.max_memory_gib, ceil(2 * var.machine.memory_gib * pow(var.machine.growth, max(0, layer - 2))) / 2),
  )) }
  memory_mib = { for key, memory in local.memory_gib : key => ceil(1024 * memory) }

  # The part of a task's memory that its workers may take together.
  usable = 0.9

  cpu = { for key, layer in local.layers : key => coalesce(
    local.given[key].cpu,
    min([for cpu, memory in local.memory_by_cpu : tonumber(cpu) if memory.most >= local.memory_gib[key]]...),
  ) }
  max_tasks = { for key, layer in local.layers : key => coalesce(
    local.given[key].max,
    lookup(var.layer_tasks, key, null),
    ceil(var.fleet.max / pow(var.fleet.fall, max(0, layer - 2))),
  ) }

  # More CPUs than one are on the curve for the sake of memory alone, which one worker then has to itself.
  processes = { for key in keys(local.layers) : key => coalesce(local.given[key].processes, local.given[key].cpu, 1) }

  # A process waits for services most of its time. What was reckoned to have room in its memory is for one process.
  at_once = { for key in keys(local.layers) : key => coalesce(
    local.given[key].at_once, local.processes[key] > 1 ? 1 : lookup(var.layer_at_once, key, 1)
  ) }

  sizes = { for key, layer in local.layers : key => {
    cpu             = local.cpu[key]
    memory_gib      = local.memory_gib[key]
    timeout_seconds = floor(3600 * coalesce(local.given[key].timeout_hours, var.task.timeout_hours))
    max_retries     = coalesce(local.given[key].max_retries, var.task.max_retries)
  } }

  # What dispatch and `make ingest` read: the object fleets.json, written in buckets.tf.
  fleets = [for layer in range(var.lowest_layer, var.layers + 1) : {
    job        = "projects/${var.project}/locations/${var.region}/jobs/${var.prefix}-l${layer}"
    layers     = [layer]
    start      = min(coalesce(local.given[tostring(layer)].start, var.fleet.start), local.max_tasks[tostring(layer)])
    factor     = coalesce(local.given[tostring(layer)].factor, var.fleet.factor)
    period     = coalesce(local.given[tostring(layer)].period, var.fleet.period)
    max        = local.max_tasks[tostring(layer)]
    cpu        = local.cpu[tostring(layer)]
    memory_gib = local.memory_gib[tostring(layer)]
  }]

  scratch = "gs://${var.project}-${var.prefix}-scratch"
}

# What can be set. `plan --tfvars` writes the first group for a dataset; terraform.tfvars.example explains all.

# ---- of the dataset ----

variable "project" {
  description = "Id of the Google Cloud project."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "A project id has 6 to 30 lower-case letters, digits and hyphens; it is neither the project's name nor its number."
  }
}

variable "layers" {
  description = "Number of the root layer: 2 to this one are built, or lowest_layer to this one."
  type        = number
  validation {
    condition     = var.layers == floor(var.layers) && var.layers >= 2 && var.layers <= 20
    error_message = "layers is the number of the root layer, a whole number from 2 to 20; the plan of the dataset says which."
  }
}

variable "lowest_layer" {
  description = "The lowest layer that has jobs: 2, or of a dataset that is a segmentation 1, where its chunks are cut, and 0 if it has tables, which are sorted there."
  type        = number
  default     = 2
  validation {
    condition     = contains([0, 1, 2], var.lowest_layer)
    error_message = "lowest_layer is 2, 1 where chunks are cut from a segmentation, or 0 where that has tables; the plan of the dataset says which."
  }
}

variable "tables" {
  description = "Bigtable tables that the workers may read and write; `make ingest` creates them."
  type        = set(string)
  validation {
    condition     = alltrue([for table in var.tables : can(regex("^[_a-zA-Z0-9][-_.a-zA-Z0-9]{0,49}$", table))])
    error_message = "A table's name has at most 50 letters, digits, '-', '_' and '.', and starts with neither '-' nor '.'."
  }
  validation {
    condition     = length(var.tables) >= 1 && length(var.tables) <= 12
    error_message = "1 to 12 tables: an IAM condition has room for no more names. Take out those that are finished."
  }
}

variable "input_buckets" {
  description = "Buckets (without gs://) with the edges and components, the raw agglomeration output, or the volumes and tables of a segmentation, that workers read."
  type        = set(string)
  default     = []
  validation {
    condition     = alltrue([for bucket in var.input_buckets : can(regex("^[a-z0-9][-_.a-z0-9]{1,220}[a-z0-9]$", bucket))])
    error_message = "input_buckets are names of buckets, without gs:// and without a path."
  }
}

variable "output_buckets" {
  description = "Buckets (without gs://) that edges and components are written to, from raw agglomeration output or a segmentation, and the volume that is cut from that."
  type        = set(string)
  default     = []
  validation {
    condition     = alltrue([for bucket in var.output_buckets : can(regex("^[a-z0-9][-_.a-z0-9]{1,220}[a-z0-9]$", bucket))])
    error_message = "output_buckets are names of buckets, without gs:// and without a path."
  }
}

# Without a default, but refused rather than asked for: nothing is made, in no phase, before it is known.
variable "bigtable_instance" {
  description = "The Bigtable instance: one that exists, or with bigtable_cluster the one to create."
  type        = string
  default     = null
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,31}[a-z0-9]$", var.bigtable_instance))
    error_message = "Which Bigtable instance? INSTANCE in the dataset's file, or `make deploy INSTANCE=…`, names it (6 to 33 lower-case letters, digits and hyphens), and `make ingest` takes it from there too. To have it created, describe it as bigtable_cluster as well."
  }
}

variable "layer_memory_gib" {
  description = "Memory of a worker of each layer, by its number, as the plan of the dataset estimates it; other layers are on the curve of `machine`."
  type        = map(number)
  default     = {}
  validation {
    condition = alltrue([
      for layer, memory in var.layer_memory_gib :
      can(regex("^([0-9]|1[0-9]|20)$", layer)) && memory >= 0.5 && memory <= 32
    ])
    error_message = "layer_memory_gib has numbers of layers, like \"5\", and 0.5 to 32 GiB for each (less than 1 is made 1), as Cloud Run has no other machines."
  }
}

variable "layer_at_once" {
  description = "How many chunks of a layer a worker process has under way at a time, by its number, as make tfvars reckons what has room in its memory; one where it says nothing."
  type        = map(number)
  default     = {}
  validation {
    condition = alltrue([
      for layer, count in var.layer_at_once :
      can(regex("^([0-9]|1[0-9]|20)$", layer)) && contains(range(1, 33), count)
    ])
    error_message = "layer_at_once has numbers of layers, like \"5\", and 1 to 32 chunks for each."
  }
}

variable "layer_tasks" {
  description = "The most tasks of each layer, by its number, as many as the table takes the rows of by the plan of the dataset; other layers are on the curve of `fleet`."
  type        = map(number)
  default     = {}
  validation {
    condition = alltrue([
      for layer, tasks in var.layer_tasks :
      can(regex("^([0-9]|1[0-9]|20)$", layer)) && tasks >= 1 && tasks <= 10000 && tasks == floor(tasks)
    ])
    error_message = "layer_tasks has numbers of layers, like \"5\", and 1 to 10,000 tasks for each, the most that Cloud Run takes in an execution."
  }
}

# ---- names and places ----

variable "prefix" {
  description = "What the names of everything start with; another prefix is another, separate installation."
  type        = string
  default     = "chunkedgraph-ingest"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{3,18}[a-z0-9]$", var.prefix)) && !startswith(var.prefix, "goog")
    error_message = "The prefix has 5 to 20 lower-case letters, digits and hyphens (names of service accounts end at 30), starts with a letter and not with goog."
  }
}

variable "region" {
  description = "Region of jobs, functions, buckets and the Firestore database; best that of the Bigtable cluster and the input."
  type        = string
  default     = "us-central1" # one of the few that Cloud Build has for every project
}

variable "database" {
  description = "Name of the Firestore database."
  type        = string
  default     = "chunkedgraph-ingest"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,61}[a-z0-9]$", var.database))
    error_message = "The database has a name of its own of 4 to 63 lower-case letters, digits and hyphens; (default) is left alone."
  }
}

variable "foreign_buckets" {
  description = "Those of input_buckets and output_buckets whose access is not ours to give (public ones, or another lab's): no grant is made there."
  type        = set(string)
  default     = []
}

variable "bigtable_cluster" {
  description = "Creates the Bigtable instance, with one cluster; null where the instance exists."
  type = object({
    zone                = string
    min_nodes           = optional(number, 3)
    max_nodes           = optional(number) # ten times min_nodes
    cpu_target          = optional(number, 60)
    storage             = optional(string, "SSD")
    deletion_protection = optional(bool, true)
  })
  default = null
  validation {
    condition = var.bigtable_cluster == null ? true : (
      var.bigtable_cluster.min_nodes >= 1
      && coalesce(var.bigtable_cluster.max_nodes, var.bigtable_cluster.min_nodes) >= var.bigtable_cluster.min_nodes
      && coalesce(var.bigtable_cluster.max_nodes, 1) <= 10 * var.bigtable_cluster.min_nodes
    )
    error_message = "A cluster has at least one node, and max_nodes is min_nodes to ten times that: Bigtable takes no wider range."
  }
  validation {
    condition     = try(var.bigtable_cluster.cpu_target >= 10 && var.bigtable_cluster.cpu_target <= 80, var.bigtable_cluster == null)
    error_message = "Bigtable takes a cpu_target from 10 to 80 percent."
  }
  validation {
    condition     = try(contains(["SSD", "HDD"], var.bigtable_cluster.storage), var.bigtable_cluster == null)
    error_message = "storage is SSD or HDD."
  }
}

variable "verify_cluster" {
  description = "The cluster of a Bigtable instance that exists from which verifications read at low priority, behind its servers. It has to be the one that the instance's default app profile writes to, by single-cluster routing: in another one rows come later, and would seem to be missing. Nothing is guessed; null has verifications read like servers."
  type        = string
  default     = null
  validation {
    condition     = var.verify_cluster == null ? true : can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.verify_cluster))
    error_message = "verify_cluster is the id of a cluster (6 to 30 lower-case letters, digits and hyphens); `gcloud bigtable clusters list` shows it."
  }
}

variable "private" {
  description = "Whether tasks run in a network of their own, where they reach Google's services without external addresses, and nothing else."
  type        = bool
  default     = false
}

variable "subnet_range" {
  description = "Addresses of that network: Cloud Run takes about two for each task."
  type        = string
  default     = "10.0.0.0/16"
  validation {
    condition     = can(cidrnetmask(var.subnet_range)) && try(tonumber(split("/", var.subnet_range)[1]) <= 26, false)
    error_message = "subnet_range is an IPv4 range like 10.0.0.0/16; Cloud Run needs /26 or larger."
  }
}

# ---- what runs ----

variable "image" {
  description = "Image of the jobs, by a tag of its own or its digest; `make image` writes the one that it built to image.auto.tfvars.json."
  type        = string
  default     = null
  validation {
    condition = var.image == null ? true : (
      can(regex("^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})$", var.image))
      && !endswith(coalesce(var.image, "-"), ":latest")
    )
    error_message = "An image has a registry, a path, and a tag or a digest, as in us-central1-docker.pkg.dev/my-project/chunkedgraph-ingest/ingest:0123456789ab. The tag latest is refused: it would say neither what runs nor whether that exists."
  }
}

variable "functions_source" {
  description = "Folder with the functions' bundles, written by `python -m functions.bundle`; relative to this folder."
  type        = string
  default     = "../build/functions"
}

variable "machine" {
  description = "The curve of machine sizes, for layers that the plan says nothing of: memory of a worker of layer 2, and by what it grows a layer, up to a limit; each task is one worker, on the fewest CPUs that Cloud Run allows for its memory."
  type = object({
    memory_gib     = optional(number, 2)
    growth         = optional(number, 2)
    max_memory_gib = optional(number, 32)
  })
  default = {}
  validation {
    condition     = var.machine.memory_gib >= 1 && var.machine.memory_gib <= var.machine.max_memory_gib && var.machine.max_memory_gib <= 32
    error_message = "A task has 1 GiB to the 32 that Cloud Run has, and max_memory_gib is no less than memory_gib."
  }
  validation {
    condition     = var.machine.growth >= 1
    error_message = "growth is at least 1: chunks of higher layers are larger, not smaller."
  }
}

variable "fleet" {
  description = "How many tasks a layer has: from `start`, times `factor` each `period` seconds, up to `max`, which is divided by `fall` with each layer above 2."
  type = object({
    start  = optional(number, 10)
    factor = optional(number, 2)
    period = optional(number, 300)
    max    = optional(number, 500)
    fall   = optional(number, 4)
  })
  default = {}
  validation {
    condition     = var.fleet.start >= 1 && var.fleet.start == floor(var.fleet.start) && var.fleet.max >= 1 && var.fleet.max <= 10000
    error_message = "start and max are whole numbers from 1 to 10,000 tasks, the most that Cloud Run takes in an execution."
  }
  validation {
    condition     = var.fleet.factor > 1 && var.fleet.fall >= 1 && var.fleet.period >= 60
    error_message = "factor is more than 1, fall at least 1, and period at least 60 seconds: dispatch looks once a minute."
  }
}

variable "task" {
  description = "How long a task may last, and how often a failed one is started again."
  type = object({
    timeout_hours = optional(number, 24)
    max_retries   = optional(number, 3)
  })
  default = {}
  validation {
    condition     = var.task.timeout_hours > 0 && var.task.timeout_hours <= 168
    error_message = "Cloud Run ends a task after 168 hours at the latest."
  }
  validation {
    condition     = contains(range(11), var.task.max_retries)
    error_message = "Cloud Run takes 0 to 10 retries."
  }
}

variable "by_layer" {
  description = "What is different in a layer, by its number. With cpu a task has a worker process for each of them, unless processes says otherwise."
  type = map(object({
    cpu           = optional(number)
    memory_gib    = optional(number)
    processes     = optional(number)
    at_once       = optional(number)
    start         = optional(number)
    factor        = optional(number)
    period        = optional(number)
    max           = optional(number)
    timeout_hours = optional(number)
    max_retries   = optional(number)
  }))
  default = {}
  validation {
    condition     = alltrue([for layer in keys(var.by_layer) : can(regex("^([0-9]|1[0-9]|20)$", layer))])
    error_message = "The keys of by_layer are numbers of layers up to 20, like \"5\"."
  }
  validation {
    condition     = alltrue([for its in values(var.by_layer) : its.cpu == null ? true : contains([1, 2, 4, 6, 8], its.cpu)])
    error_message = "Cloud Run has machines of 1, 2, 4, 6 or 8 CPUs."
  }
  validation {
    condition     = alltrue([for its in values(var.by_layer) : its.memory_gib == null ? true : its.memory_gib >= 1 && its.memory_gib <= 32])
    error_message = "A task has 1 GiB to the 32 that Cloud Run has."
  }
  validation {
    condition = alltrue(flatten([for its in values(var.by_layer) : [
      coalesce(its.start, 1) >= 1, coalesce(its.start, 1) == floor(coalesce(its.start, 1)),
      coalesce(its.max, 1) >= 1, coalesce(its.max, 1) <= 10000, coalesce(its.max, 1) == floor(coalesce(its.max, 1)),
      coalesce(its.factor, 2) > 1, coalesce(its.period, 60) >= 60,
      contains(range(1, 9), coalesce(its.processes, 1)), contains(range(1, 33), coalesce(its.at_once, 1)),
      coalesce(its.timeout_hours, 1) > 0, coalesce(its.timeout_hours, 1) <= 168,
      its.max_retries == null ? true : contains(range(11), its.max_retries),
    ]]))
    error_message = "In by_layer: start and max from 1 to 10,000, factor more than 1, period from 60 seconds, processes from 1 to 8, at_once from 1 to 32, timeout_hours up to 168, max_retries from 0 to 10."
  }
}

variable "retention_days" {
  description = "How long Pub/Sub keeps a message that nobody has acknowledged."
  type        = number
  default     = 31
  validation {
    condition     = var.retention_days >= 7 && var.retention_days <= 31
    error_message = "7 to 31 days: a run may last weeks, and Pub/Sub keeps a message for 31 days at most."
  }
}

variable "handoff_days" {
  description = "When a hand-off is deleted; those of a run are needed until its graph is verified. Records of runs stay."
  type        = number
  default     = 45
  validation {
    condition     = var.handoff_days == floor(var.handoff_days) && var.handoff_days >= 31
    error_message = "At least 31 days: as long as a message may wait, its chunk needs the hand-offs of others."
  }
}

variable "deletion_protection" {
  description = "Whether the scratch bucket (run records, hand-offs) and the database refuse to go while something is in them; false only to take everything down."
  type        = bool
  default     = true
}

# ---- who hears of what ----

variable "alert_emails" {
  description = "Addresses that alerts are sent to."
  type        = set(string)
  default     = []
}

variable "alert_channels" {
  description = "Notification channels that exist, such as Slack's (projects/…/notificationChannels/…)."
  type        = set(string)
  default     = []
}

variable "no_progress_minutes" {
  description = "After how long without a finished chunk an alert is raised while messages wait."
  type        = number
  default     = 30
  validation {
    condition     = var.no_progress_minutes == floor(var.no_progress_minutes) && var.no_progress_minutes >= 10 && var.no_progress_minutes <= 1440
    error_message = "10 to 1440 whole minutes: the metrics lag by some, and an alert looks back one day at most."
  }
}

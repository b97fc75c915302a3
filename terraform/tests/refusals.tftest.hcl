# What is refused before anything is made, each with a sentence that says what would do. A run takes a second, so
# one has many variables wrong at once: each of them has to be refused.

mock_provider "google" {
  source = "./tests/mocks"
}
mock_provider "google" {
  alias  = "billing"
  source = "./tests/mocks"
}
mock_provider "time" {}

variables {
  project           = "any-project"
  layers            = 4
  tables            = ["fly"]
  bigtable_instance = "graphs"
  image             = "registry.example/ingest:0123456789ab"
}

run "refused" {
  command = plan
  variables {
    project             = "123456789012"
    layers              = 1
    lowest_layer        = 3
    tables              = []
    input_buckets       = ["gs://edges"]
    output_buckets      = ["results/of/mine"]
    prefix              = "chunkedgraph-ingest-of-us"
    database            = "(default)"
    bigtable_cluster    = { zone = "z", min_nodes = 3, max_nodes = 2 }
    bigtable_instance   = "us"
    verify_cluster      = "projects/p/clusters/c"
    image               = "us-central1-docker.pkg.dev/any-project/chunkedgraph-ingest/ingest:latest"
    layer_tasks         = { "2" = 0 }
    subnet_range        = "10.0.0.0/27"
    machine             = { max_memory_gib = 64 }
    fleet               = { max = 10001 }
    task                = { timeout_hours = 169 }
    by_layer            = { "21" = { cpu = 1 } }
    retention_days      = 32
    handoff_days        = 7
    no_progress_minutes = 1
    budget              = { billing_account = "mine", amount = 1 }
  }
  expect_failures = [
    var.project,
    var.layers,
    var.lowest_layer,
    var.tables,
    var.input_buckets,
    var.output_buckets,
    var.prefix,
    var.database,
    var.bigtable_cluster,
    var.bigtable_instance,
    var.verify_cluster,
    var.image,
    var.layer_tasks,
    var.subnet_range,
    var.machine,
    var.fleet,
    var.task,
    var.by_layer,
    var.retention_days,
    var.handoff_days,
    var.no_progress_minutes,
    var.budget,
  ]
}

run "refused_for_another_reason" {
  command = plan
  variables {
    project             = "my_project"
    layers              = 4.5
    lowest_layer        = 1.5
    tables              = ["fly/tables/other"]
    prefix              = "goog-ingest"
    bigtable_cluster    = { zone = "z", cpu_target = 95 }
    subnet_range        = "everything"
    machine             = { growth = 0.5 }
    image               = "ingest"
    layer_tasks         = { "21" = 5 }
    fleet               = { factor = 1 }
    task                = { max_retries = 11 }
    by_layer            = { "3" = { cpu = 3 } }
    retention_days      = 1
    no_progress_minutes = 2000
    budget              = { billing_account = "012345-6789AB-CDEF01", amount = 0.5 }
  }
  expect_failures = [
    var.project,
    var.layers,
    var.lowest_layer,
    var.tables,
    var.prefix,
    var.bigtable_cluster,
    var.subnet_range,
    var.machine,
    var.image,
    var.layer_tasks,
    var.fleet,
    var.task,
    var.by_layer,
    var.retention_days,
    var.no_progress_minutes,
    var.budget,
  ]
}

run "refused_for_a_third_reason" {
  command = plan
  variables {
    tables           = ["fly0", "fly1", "fly2", "fly3", "fly4", "fly5", "fly6", "fly7", "fly8", "fly9", "fly10", "fly11", "fly12"]
    bigtable_cluster = { zone = "z", storage = "TAPE" }
    fleet            = { start = 1.5 }
    machine          = { memory_gib = 0.5 }
    by_layer         = { "3" = { memory_gib = 33 } }
  }
  expect_failures = [
    var.tables,
    var.bigtable_cluster,
    var.machine,
    var.fleet,
    var.by_layer,
  ]
}

run "no_machine_for_what_the_plan_says" {
  command = plan
  variables {
    layer_memory_gib = { "9" = 33 }
  }
  expect_failures = [var.layer_memory_gib]
}

run "a_layer_without_tasks" {
  command = plan
  variables {
    by_layer = { "3" = { max = 0 } }
  }
  expect_failures = [
    var.by_layer,
  ]
}

run "a_task_that_is_too_small" {
  command = plan
  variables {
    by_layer         = { "3" = { memory_gib = 0.5 } }
    bigtable_cluster = { zone = "z", min_nodes = 1, max_nodes = 11 }
  }
  expect_failures = [
    var.by_layer,
    var.bigtable_cluster,
  ]
}

run "a_layer_of_too_many_processes" {
  command = plan
  variables {
    by_layer = { "3" = { processes = 9 } }
  }
  expect_failures = [
    var.by_layer,
  ]
}

run "too_many_chunks_under_way" {
  command = plan
  variables {
    layer_at_once = { "3" = 33 }
    by_layer      = { "3" = { at_once = 0 } }
  }
  expect_failures = [
    var.layer_at_once,
    var.by_layer,
  ]
}

run "little_cpu_for_the_memory" {
  command = plan
  variables {
    by_layer = { "3" = { cpu = 1, memory_gib = 5 } }
  }
  expect_failures = [
    google_cloud_run_v2_job.layer,
  ]
}

run "little_memory_for_the_cpus" {
  command = plan
  variables {
    by_layer = { "3" = { cpu = 8, memory_gib = 2 } }
  }
  expect_failures = [
    google_cloud_run_v2_job.layer,
  ]
}

terraform {
  # Write-protected attributes such as deletion_policy came with 7.45.
  required_version = "~> 1.11"

  required_providers {
    google  = { source = "hashicorp/google", version = "~> 7.45" }
    archive = { source = "hashicorp/archive", version = "~> 2.7" }
  }

  # The bucket is named at `terraform init`: it must exist before this does.
  backend "gcs" { prefix = "backstop" }
}

provider "google" {
  project        = var.project_id
  region         = var.region
  default_labels = { app = local.name }
}

locals {
  # Every name begins with this and none is drawn: who reads a log, a bill or a
  # grant knows where it comes from, and a second apply finds what the first made.
  name = "backstop"

  # Before an account's e-mail address, its full name: known when the plan is made.
  accounts = "projects/${var.project_id}/serviceAccounts"
}

data "google_project" "this" {
  project_id = var.project_id
}

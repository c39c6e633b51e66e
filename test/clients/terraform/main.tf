# What the AWS provider makes of IAM, each kind of thing once.
terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "5.100.0" }
  }
}

provider "aws" {
  region                  = "us-east-1"
  skip_metadata_api_check = true
}

variable "session" { default = 7200 }

variable "description" { default = "an app" }

data "aws_caller_identity" "me" {}

data "aws_iam_session_context" "me" { arn = data.aws_caller_identity.me.arn }

resource "aws_iam_user" "ann" {
  name          = "tf-ann"
  path          = "/eng/"
  force_destroy = true
  tags          = { team = "red" }
}

resource "aws_iam_access_key" "ann" { user = aws_iam_user.ann.name }

resource "aws_iam_user_login_profile" "ann" {
  user            = aws_iam_user.ann.name
  password_length = 20
}

resource "aws_iam_group" "g" { name = "tf-devs" }

resource "aws_iam_user_group_membership" "m" {
  user   = aws_iam_user.ann.name
  groups = [aws_iam_group.g.name]
}

data "aws_iam_policy_document" "read" {
  statement {
    actions   = ["secretsmanager:GetSecretValue"]
    resources = ["arn:aws:secretsmanager:*:*:secret:app/*"]
  }
}

resource "aws_iam_policy" "read" {
  name   = "tf-read"
  policy = data.aws_iam_policy_document.read.json
  tags   = { a = "b" }
}

resource "aws_iam_policy" "bound" {
  name   = "tf-bound"
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "*", Resource = "*" }] })
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = [aws_iam_user.ann.arn]
    }
  }
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [aws_iam_openid_connect_provider.ci.arn]
    }
    condition {
      test     = "StringEquals"
      variable = "ci.example.com:8443/x:aud"
      values   = ["app"]
    }
  }
}

resource "aws_iam_role" "app" {
  name                 = "tf-app"
  description          = var.description
  max_session_duration = var.session
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  permissions_boundary = aws_iam_policy.bound.arn
  tags                 = { team = "red" }
}

resource "aws_iam_role_policy" "inline" {
  role   = aws_iam_role.app.id
  name   = "inline"
  policy = data.aws_iam_policy_document.read.json
}

resource "aws_iam_role_policy_attachment" "a" {
  role       = aws_iam_role.app.name
  policy_arn = aws_iam_policy.read.arn
}

resource "aws_iam_group_policy_attachment" "a" {
  group      = aws_iam_group.g.name
  policy_arn = aws_iam_policy.read.arn
}

resource "aws_iam_user_policy_attachment" "a" {
  user       = aws_iam_user.ann.name
  policy_arn = "arn:aws:iam::aws:policy/SecurityAudit"
}

resource "aws_iam_group_policy" "p" {
  group  = aws_iam_group.g.name
  policy = data.aws_iam_policy_document.read.json
}

resource "aws_iam_user_policy" "p" {
  user   = aws_iam_user.ann.name
  policy = data.aws_iam_policy_document.read.json
}

resource "aws_iam_openid_connect_provider" "ci" {
  url             = "https://ci.example.com:8443/x"
  client_id_list  = ["app", "other"]
  thumbprint_list = ["9e99a48a9960b14926bb7f3b02e22da2b0ab7280"]
  tags            = { ci = "yes" }
}

resource "aws_iam_service_linked_role" "rot" { aws_service_name = "rotation.secretsmanager.amazonaws.com" }

resource "aws_iam_account_password_policy" "p" {
  minimum_password_length        = 10
  require_numbers                = true
  require_uppercase_characters   = true
  allow_users_to_change_password = true
  password_reuse_prevention      = 3
}

resource "aws_iam_account_alias" "a" { account_alias = "tf-company" }

resource "aws_iam_virtual_mfa_device" "m" { virtual_mfa_device_name = "tf-phone" }

data "aws_iam_principal_policy_simulation" "s" {
  action_names      = ["secretsmanager:GetSecretValue"]
  resource_arns     = ["arn:aws:secretsmanager:us-east-1:111111111111:secret:app/x-AbCdEf"]
  policy_source_arn = aws_iam_role.app.arn
  depends_on        = [aws_iam_role_policy.inline]
}

data "aws_iam_roles" "all" { depends_on = [aws_iam_role.app] }

data "aws_iam_role" "app" { name = aws_iam_role.app.name }

data "aws_iam_users" "all" { depends_on = [aws_iam_user.ann] }

data "aws_iam_openid_connect_provider" "ci" { arn = aws_iam_openid_connect_provider.ci.arn }

output "sim" { value = data.aws_iam_principal_policy_simulation.s.all_allowed }

output "me" { value = data.aws_caller_identity.me.arn }

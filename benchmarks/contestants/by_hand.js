// The very app of by_hand.py and fleet.py, in the language that aws-cdk-lib is written in.
const { App, Stack } = require('aws-cdk-lib');
const autoscaling = require('aws-cdk-lib/aws-autoscaling');
const cloudwatch = require('aws-cdk-lib/aws-cloudwatch');
const cloudwatchActions = require('aws-cdk-lib/aws-cloudwatch-actions');
const codebuild = require('aws-cdk-lib/aws-codebuild');
const codeconnections = require('aws-cdk-lib/aws-codeconnections');
const codedeploy = require('aws-cdk-lib/aws-codedeploy');
const codepipeline = require('aws-cdk-lib/aws-codepipeline');
const actions = require('aws-cdk-lib/aws-codepipeline-actions');
const ec2 = require('aws-cdk-lib/aws-ec2');
const elbv2 = require('aws-cdk-lib/aws-elasticloadbalancingv2');
const sns = require('aws-cdk-lib/aws-sns');

function sharedByPipelines(stack) {
  const vpc = new ec2.Vpc(stack, 'Vpc', { maxAzs: 2, natGateways: 1 });
  const group = new autoscaling.AutoScalingGroup(stack, 'Group', {
    vpc,
    instanceType: new ec2.InstanceType('t3.micro'),
    machineImage: ec2.MachineImage.latestAmazonLinux2023(),
    minCapacity: 2,
    maxCapacity: 4,
  });
  const balancer = new elbv2.ApplicationLoadBalancer(stack, 'Balancer', { vpc, internetFacing: true });
  const targetGroup = balancer.addListener('Http', { port: 80 }).addTargets('Targets', { port: 80, targets: [group] });
  const topic = new sns.Topic(stack, 'Topic');
  const alarm = new cloudwatch.Alarm(stack, 'Errors', {
    metric: targetGroup.metrics.httpCodeTarget(elbv2.HttpCodeTarget.TARGET_5XX_COUNT),
    threshold: 10,
    evaluationPeriods: 2,
  });
  alarm.addAlarmAction(new cloudwatchActions.SnsAction(topic));
  const connection = new codeconnections.CfnConnection(stack, 'GitHub', {
    connectionName: 'github',
    providerType: 'GitHub',
  });
  return { group, targetGroup, alarm, topic, connectionArn: connection.attrConnectionArn };
}

function addPipeline(stack, i, shared) {
  const group = new codedeploy.ServerDeploymentGroup(stack, `App${i}Group`, {
    // CodeDeploy takes an Auto Scaling group in one deployment group only; further applications deploy by tag.
    ...(i === 1
      ? {
          autoScalingGroups: [shared.group],
          loadBalancers: [codedeploy.LoadBalancer.application(shared.targetGroup)],
        }
      : { ec2InstanceTags: new codedeploy.InstanceTagSet({ app: [`app-${i}`] }) }),
    alarms: [shared.alarm],
    installAgent: i === 1,
    autoRollback: { failedDeployment: true, deploymentInAlarm: true },
  });
  const project = new codebuild.PipelineProject(stack, `App${i}Build`);
  const source = new codepipeline.Artifact('Source');
  const built = new codepipeline.Artifact('Build');
  const fetch = new actions.CodeStarConnectionsSourceAction({
    actionName: 'GitHub',
    connectionArn: shared.connectionArn,
    owner: 'acme',
    repo: `app-${i}`,
    branch: 'main',
    output: source,
  });
  const build = new actions.CodeBuildAction({ actionName: 'Build', project, input: source, outputs: [built] });
  const approve = new actions.ManualApprovalAction({
    actionName: 'Approve',
    notificationTopic: shared.topic,
    runOrder: 1,
  });
  const deploy = new actions.CodeDeployServerDeployAction({
    actionName: 'Deploy',
    deploymentGroup: group,
    input: built,
    runOrder: 2,
  });
  new codepipeline.Pipeline(stack, `App${i}Pipeline`, {
    stages: [
      { stageName: 'Source', actions: [fetch] },
      { stageName: 'Build', actions: [build] },
      { stageName: 'Production', actions: [approve, deploy] },
    ],
  });
}

const app = new App();
const stack = new Stack(app, 'ByHand');
const shared = sharedByPipelines(stack);
for (let i = 1; i <= Number(process.argv[2]); i++) addPipeline(stack, i, shared);
app.synth();
